'use strict';

// A client that is not ours: grpc-js with the plain protos, nothing generated.
// usage: node client.js ADDRESS INCLUDE...
// INCLUDE are folders with .proto files. One JSON line per check says what was seen; what it
// should be is for the test that started this.

const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [address, ...includeDirs] = process.argv.slice(2);
const HANG = 30_000;
const PROTOS = [
  'interlace/v1/gateway_service.proto',
  'interlace/v1/feed_service.proto',
  'interlace/v1/catalog_service.proto',
  'google/rpc/status.proto',
  'google/rpc/error_details.proto',
];
const definition = loader.loadSync(PROTOS, {
  includeDirs,
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});
const { v1 } = grpc.loadPackageDefinition(definition).interlace;
const credentials = grpc.credentials.createInsecure();
const gateway = new v1.GatewayService(address, credentials);
const feeds = new v1.FeedService(address, credentials);
const catalog = new v1.CatalogService(address, credentials);

const limits = () => ({ deadline: Date.now() + HANG });

function unary(client, method, request, options = limits()) {
  return new Promise((resolve, reject) => {
    client[method](request, options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

const call = (operation, more = {}) => ({ connector: 'desk', operation, ...more });
const limited = { connector: 'limited', operation: 'Limited' };

/** An Any of google.rpc, as its type's short name and its fields. */
function unpack(any) {
  const name = any.type_url.slice(any.type_url.lastIndexOf('/') + 1);
  return [name.slice(name.lastIndexOf('.') + 1), definition[name].deserialize(any.value)];
}

function describe(status) {
  return { code: status.code, message: status.message, ...Object.fromEntries(status.details.map(unpack)) };
}

/** The error of a call with the google.rpc.Status of its trailers. */
function describeError(error) {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  const status = bytes && definition['google.rpc.Status'].deserialize(bytes);
  return { grpc_code: error.code, grpc_message: error.details, ...(status && describe(status)) };
}

async function failing(attempt) {
  try {
    return { answered: await attempt };
  } catch (error) {
    return describeError(error);
  }
}

const event = (number) => ({
  id: `event-${number}`,
  source: 'foreign',
  type: 'foreign.counted.v1',
  key: `key-${number % 3}`,
  time: { seconds: 1_700_000_000 + number, nanos: 5 },
  media_type: 'application/json',
  data: Buffer.from(JSON.stringify({ number, text: `größe ${number}` })),
  attributes: { parity: number % 2 ? 'odd' : 'even' },
});

const range = (first, end) => Array.from({ length: end - first }, (_, index) => first + index);

async function publish(first, end) {
  const events = range(first, end).map(event);
  const { outcomes } = await unary(feeds, 'Publish', { sink: 'line.Counted', events });
  return outcomes.filter((outcome) => outcome.status === null).length;
}

function read(event) {
  const { number, text } = JSON.parse(event.data.toString());
  const { id, key, type, attributes, time } = event;
  return { id, key, type, number, text, parity: attributes.parity, time: time.seconds };
}

/** Reads a subscription up to an event, cancels it, and tells its frames and how it ended. */
async function subscribe(start, last) {
  const stream = feeds.Subscribe({ feed: 'line.Counted', start }, limits());
  const frames = [];
  let isDone = false;
  try {
    for await (const { frame, cursor, batch } of stream) {
      const events = batch ? batch.events.map(read) : [];
      frames.push({ frame, cursor, events });
      if (events.some(({ id }) => id === last)) {
        isDone = true;
        stream.cancel();
      }
    }
  } catch (error) {
    if (!isDone) throw error;
    return { frames, ended: error.code };
  }
  return { frames, ended: 0 };
}

async function subscribers() {
  const { connector } = await unary(catalog, 'GetConnector', { name: 'line' });
  return connector.feeds.find(({ name }) => name === 'Counted').subscribers;
}

async function untilNobodyListens() {
  const end = Date.now() + HANG;
  let left = await subscribers();
  while (left > 0 && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    left = await subscribers();
  }
  return left;
}

function land({ id, outcome }) {
  const { result, payload, status } = outcome;
  return { id, result, payload: payload && payload.data.toString(), ...(status && describe(status)) };
}

const echoed = (text) => call('Echo', { payload: { media_type: 'text/plain', data: Buffer.from(text) } });

/** Several calls in flight over one stream, one of which is cancelled once the others landed. */
async function session() {
  const stream = gateway.Session(limits());
  const messages = [];
  const replies = [];
  stream.write({ items: [{ id: 7, call: call('Slow') }, { id: 1, call: echoed('one') }] });
  stream.write({ items: [{ id: 2, call: echoed('two') }, { id: 3, call: call('Nothing') }] });
  for await (const message of stream) {
    messages.push({ limits: message.limits });
    replies.push(...message.replies.map(land));
    if (replies.length === 3 && !replies.some(({ id }) => id === 7)) {
      stream.write({ items: [{ id: 7, cancel: {} }, { id: 4, call: echoed('four') }] });
      stream.end();
    }
  }
  return { limits: messages.map((message) => message.limits), replies };
}

/** Cancels a call that takes a minute. */
async function cancelled() {
  return describeError(
    await new Promise((resolve) => {
      const pending = gateway.Call({ call: call('Slow') }, limits(), resolve);
      setTimeout(() => pending.cancel(), 100);
    }),
  );
}

const checks = {
  call: async () => {
    const answer = await unary(gateway, 'Call', { call: call('Hello') });
    return { ...answer.payload, data: answer.payload.data.toString(), effort: answer.effort };
  },
  parameters: async () => {
    const parameters = [
      { name: 'text', string_value: 'größe' },
      { name: 'whole', int64_value: 7 },
      { name: 'fraction', double_value: 0.5 },
      { name: 'truth', bool_value: true },
      { name: 'list', list_value: { values: ['a', 'b'] } },
    ];
    const answer = await unary(gateway, 'Call', { call: call('Echo', { parameters }) });
    return { data: answer.payload.data.toString() };
  },
  unknown: () => failing(unary(gateway, 'Call', { call: call('Nothing') })),
  invalid: () => failing(unary(gateway, 'Call', { call: call('Hello', { timeout: { seconds: -1 } }) })),
  limited: () => failing(unary(gateway, 'Call', { call: limited })),
  deadline: () => failing(unary(gateway, 'Call', { call: call('Slow') }, { deadline: Date.now() + 300 })),
  cancelled,
  session,
  publish: async () => ({ confirmed: await publish(0, 100) }),
  subscribe: () => subscribe({ oldest: {} }, 'event-99'),
  resume: async () => {
    const before = await subscribe({ oldest: {} }, 'event-99');
    const { cursor, events } = before.frames.find(({ frame }) => frame === 'batch');
    const more = await publish(100, 105);
    return { first: events, more, ...(await subscribe({ cursor }, 'event-104')) };
  },
  forged: async () => failing(subscribe({ cursor: 'forged' }, 'event-0')),
  listeners: async () => ({ left: await untilNobodyListens() }),
};

async function main() {
  for (const [check, run] of Object.entries(checks)) {
    process.stdout.write(`${JSON.stringify({ check, ...(await run()) })}\n`);
  }
  [gateway, feeds, catalog].forEach((client) => client.close());
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
