"""Odd values of JSON, which a transcoder must refuse or read as the oracle does."""

from __future__ import annotations

__all__ = ["ATOMS", "STRICTER"]

NUMBERS = [
    "0", "1", "-1", "1.0", "1.5", "-0.0", "1e3", "1e18", "1e19", "1e400", "1e-400", "2147483647",
    "2147483648", "-2147483649", "4294967296", "9007199254740993", "9007199254740993.0",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "16777217", "3.4028235e38", "3.5e38",
    "1" * 100, "1" * 5000, "1e999999999", "NaN", "Infinity", "-Infinity",
]  # fmt: skip
NUMBER_TEXTS = [
    "1", "-1", "+1", "01", "1.0", "1.5", "1e3", "1e400", "1e39", " 1", "1 ", "1\\t", "1_0",
    "\u0661",
    "0x1", "true", "NaN", "nan", "Infinity", "inf", "-Infinity", "9007199254740993",
    "9007199254740993.0", "18446744073709551616", "99", "1e99999", "null", "NULL", "false", "True",
    "0", "-0", "1E2", "1e-400", "0.99999999999999999999", "-inf", "1e3 ",
]  # fmt: skip
OTHER_TEXTS = [
    "", "AQ==", "AQ", "AQ=", "AQ===", "_-8=", "A Q", "A", "é", "\\ud800", "\\ud83d\\ude00",
    "a\\u0000",
    "RED", "ROT", "red", "NULL_VALUE", "a.bC", "a,b_c", ",a", "é.b", "a\\\":b", ":b",
]  # fmt: skip
TIMES = [
    "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.123456789Z", "2020-01-01T00:00:00.1234567891Z",
    "2020-01-01T00:00:00+01:30", "2020-01-01T00:00:00.5-01:30", "2020-01-01T00:00:00",
    "2020-01-01t00:00:00Z", "2020-01-01T00:00:00z", "2020-1-1T0:0:0Z", "2020-02-30T00:00:00Z",
    "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59.999999999Z", "2020-01-01T00:00:60Z",
    "2020-01-01T24:00:00Z", "2020-01-01T00:00:00+99:99", "2020-01-01T00:00:00.Z",
    "2020-W01-1T00:00:00Z",
    "2020-01-01 00:00:00Z", "1s", "-1s", "1.5s", "-0.5s", "1.1234567891s", ".5s", "1.s", "1e3s",
    "315576000000s", "315576000001s", "+1s", "s",
]  # fmt: skip
STRUCTURES = [
    "null", "true", "false", "[]", "[null]", "[1]", '["1"]', "[[]]", "[{}]", "{}", '{"a":1}',
    '{"a":null}', '{"":0}', '{"1":"x"}', '{"01":"x"}', '{"1":"x","01":"y"}', '{"true":"x"}',
    '{"True":"x"}', '{"1.0":"x"}', '{"1e0":"x"}', '{"1":"x","1.0":"y"}', '{"nan":"x"}',
    '{"-0":"x"}', '{"a":"1"}', '{"a":"1.0"}', '{"a":"null"}', '["null"]', '["true"]', '["1.0"]',
    '{"-1":"x"}', '{" 1":"x"}', '{"value":1}', '{"id":null}',
    '{"id":"a","id":"b"}', '{"id" : "a"}', '{"id":"a","zz":1}', '{"a":9007199254740993}',
    '{"a":"\\ud800"}', '{"\\ud800":1}', '{"a":[1,{"b":null}]}', '{"a":1e400}', "[1,2,3", '"',
    '{"a"}',
    "nul", "01", "1.", "\ufeff1", "[" * 40 + "]" * 40, '{"a":' * 200 + "1" + "}" * 200,
    '{"oneRich":' * 97 + "{}" + "}" * 97, '{"oneRich":' * 98 + "{}" + "}" * 98,
]  # fmt: skip
ANYS = [
    '{"@type":"type.googleapis.com/rich.Leaf","id":"x"}', '{"@type":"rich.Leaf","id":"x"}',
    '{"@type":"/rich.Leaf"}', '{"@type":"x/rich.None"}', '{"@type":1}', '{"@type":"\\ud800"}',
    '{"@type":"x/rich.Leaf","zz":1}', '{"@type":"x/google.protobuf.Int64Value","value":"1"}',
    '{"@type":"x/google.protobuf.Int64Value"}', '{"@type":"x/google.protobuf.Value","value":null}',
    '{"@type":"x/google.protobuf.Int64Value","value":"1","a":1}', '{"@type":"x/old.Old"}',
    '{"@type":"x/google.protobuf.Any","value":{"@type":"x/rich.Leaf"}}',
]  # fmt: skip

ATOMS = [
    *NUMBERS,
    *(f'"{text}"' for text in (*NUMBER_TEXTS, *OTHER_TEXTS, *TIMES)),
    *STRUCTURES,
    *ANYS,
]
"""Values as they stand in JSON; some are not even that."""

STRICTER = {
    "a key of the map is none of its type",
    "a map has the same key twice, in two spellings",
    "a number is beyond every range",
    "a path has something else than letters, digits and dots",
    "an Any lacks a required field",
    "an Any of a well-known type has more than a value",
    "the integer has more digits than a double can hold",
    "the integer has more digits than a float can hold",
    "the integer is out of range",
    "the number has a fraction, and the field is an integer",
    "the number is beyond the range of a double",
    "the number is beyond the range of a float",
    "the text is no RFC 3339 time with an offset and at most 9 decimals",
    'the text is no duration such as "1.5s" with at most 9 decimals',
    "the text is no name of the enum",
    "the text is no number",
    "the text is not JSON: it has NaN or an infinity",
    "the text is not base64",
    "the value is nested deeper than protobuf reads back",
    "the value is no integer",
    "the value is no number",
    "the value is no object",
    "two fields of one oneof are set",
}
"""What is said where the oracle would accept: the table in the docstring of `transcode`."""
