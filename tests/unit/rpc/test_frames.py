"""Frames out of ready bytes equal what the ordinary serializer writes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interlace.v1 import event_pb2
from interlace.v1 import feed_service_pb2 as pb
from interlaced.core.frame import Frame, FrameKind
from interlaced.core.model import Event, Gap, GapWhy
from interlaced.rpc.frames import GAP_REASONS, duration, encode_event, event_message, frame_bytes

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
EVENTS = st.builds(
    Event,
    id=TEXT,
    source=TEXT,
    type=TEXT,
    data=st.binary(max_size=300),
    media_type=TEXT,
    subject=TEXT,
    time=st.none() | st.floats(-6.2e10, 2.5e11),
    key=TEXT,
    position=st.binary(max_size=12),
    attributes=st.dictionaries(TEXT, TEXT, max_size=1),
)


@given(
    events=st.lists(EVENTS, max_size=8),
    cursor=st.text("abc", max_size=40),
    dropped=st.integers(0, 2**64 - 1),
)
def test_a_joined_batch_equals_the_serializers_bytes(
    events: list[Event], cursor: str, dropped: int
) -> None:
    frame = Frame(FrameKind.BATCH, cursor, dropped, body=b"".join(map(encode_event, events)))
    batch = pb.EventBatch(events=map(event_message, events))
    expected = pb.SubscribeResponse(batch=batch, cursor=cursor, dropped=dropped)
    wire = frame_bytes(frame)
    assert pb.SubscribeResponse.FromString(wire) == expected
    assert wire == expected.SerializeToString()


@given(why=st.sampled_from(list(GapWhy)), first=TEXT, last=TEXT, dropped=st.integers(0, 300))
def test_every_other_frame_equals_the_serializers_bytes(
    why: GapWhy, first: str, last: str, dropped: int
) -> None:
    gap = pb.Gap(to=last, why=GAP_REASONS[why])
    setattr(gap, "from", first)
    pairs = [
        (
            Frame(FrameKind.CHECKPOINT, "c", dropped),
            pb.SubscribeResponse(checkpoint=pb.Checkpoint()),
        ),
        (
            Frame(FrameKind.GAP, "c", dropped, gap=Gap(why, first, last)),
            pb.SubscribeResponse(gap=gap),
        ),
        (Frame(FrameKind.GAP, "c", dropped), pb.SubscribeResponse(gap=pb.Gap())),
        (
            Frame(FrameKind.GOING_AWAY, "c", dropped, reconnect_after=1.5),
            pb.SubscribeResponse(going_away=pb.GoingAway(reconnect_after=duration(1.5))),
        ),
    ]
    for frame, expected in pairs:
        expected.cursor, expected.dropped = "c", dropped
        assert frame_bytes(frame) == expected.SerializeToString()


@given(EVENTS)
def test_an_event_arrives_as_it_was(event: Event) -> None:
    batch = pb.EventBatch.FromString(encode_event(event))
    (got,) = batch.events
    assert (got.id, got.source, got.type, got.data) == (
        event.id,
        event.source,
        event.type,
        event.data,
    )
    assert (got.subject, got.key, got.position) == (event.subject, event.key, event.position)
    assert dict(got.attributes) == event.attributes
    if event.time is None:
        assert not got.HasField("time")
    else:
        assert abs(got.time.seconds + got.time.nanos / 1e9 - event.time) < 1e-3


def test_texts_that_are_no_unicode_are_mended_and_odd_times_left_out() -> None:
    event = Event(
        id="a\ud800",
        source="s",
        type="t",
        data=b"x",
        attributes={"k\udfff": "v"},
        time=float("inf"),
    )
    (got,) = pb.EventBatch.FromString(encode_event(event)).events
    assert (got.id, dict(got.attributes), got.HasField("time")) == ("a?", {"k?": "v"}, False)
    assert isinstance(event_message(event), event_pb2.Event)


def test_a_shared_frame_is_encoded_once() -> None:
    frame = Frame(
        FrameKind.BATCH, "c", body=encode_event(Event(id="1", source="", type="", data=b""))
    )
    first = frame_bytes(frame)
    assert frame_bytes(frame) is first
    assert frame.body == b"", "the same bytes are not held twice"


def test_every_reason_of_a_gap_has_its_value() -> None:
    assert set(GAP_REASONS) == set(GapWhy)
    assert len(set(GAP_REASONS.values())) == len(GapWhy)
