// Puts load on a running simulator with unmodified Baileys, all sockets in this process, and prints one line of JSON.
//
//   node load.mjs --control http://127.0.0.1:3999 --sessions 50 --sends 500 --workers 16
//
// Baileys is the one that infra/interop pins: run `npm ci` there. README.md tells what the figures mean.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

import { Companion } from '../../interop/companion.mjs';
import { silent } from '../../interop/logger.mjs';
import { newAuth } from '../../interop/memory.mjs';
import { reach } from '../../interop/simulator.mjs';
import { Control } from './control.mjs';
import { cpuSeconds, eachBy, memory, percentile, round, stopwatch } from './measure.mjs';

const { values } = parseArgs({
  options: {
    control: { type: 'string', default: 'http://127.0.0.1:3999' },
    sessions: { type: 'string', default: '50' },
    sends: { type: 'string', default: '500' },
    workers: { type: 'string', default: '16' },
    timeout: { type: 'string', default: '300' }, // seconds for everything
    'first-phone': { type: 'string', default: '79030000000' }, // the numbers from here on must be free
  },
});
const sessions = positive('sessions');
const sends = positive('sends');
const workers = Math.min(positive('workers'), sessions);
const firstPhone = positive('first-phone');
const deadline = AbortSignal.timeout(positive('timeout') * 1000);
const settled = 10_000; // ms that the last messages have to arrive in

function positive(name) {
  const number = Number(values[name]);
  if (Number.isSafeInteger(number) && number > 0) return number;
  console.error(`load: --${name} has to be a positive number`);
  process.exit(2);
}

async function main() {
  const control = new Control(values.control, deadline);
  const settings = { ...reach(await control.root()), logger: silent };
  const fleet = await Promise.all(Array.from({ length: sessions }, async (_, i) => {
    const phone = String(firstPhone + i);
    await control.addPhone(phone);
    return { phone, companion: new Companion({ auth: newAuth(), settings }) };
  }));
  const before = memory();

  const pairing = stopwatch();
  await eachBy(workers, fleet, session => pair(control, session));
  const pairSeconds = round(pairing());
  const connected = memory();

  await Promise.all(fleet.map(({ companion }) => companion.close()));
  const closed = memory();
  const login = await measureLogins(fleet);
  const open = memory();

  const { firstContactFailed, received } = await meet(fleet);
  const send = await measureSends(fleet, received);
  const { undecryptable, unhandled } = await control.stats();
  await Promise.all(fleet.map(({ companion }) => companion.close()));

  return {
    client: `baileys ${createRequire(import.meta.resolve('../../interop/'))('baileys/package.json').version}`,
    node: process.version,
    sessions, sends, workers,
    memoryPerSessionKB: perSession(connected.rss - before.rss),
    heapPerSessionKB: perSession(open.heapUsed - closed.heapUsed),
    authHeapPerSessionKB: perSession(closed.heapUsed - before.heapUsed),
    rssMB: Math.round(memory().rss / 2 ** 20),
    pairSeconds,
    ...login, ...send,
    firstContactFailed, undecryptable, unhandled,
  };
}

const perSession = bytes => Math.round(bytes / sessions / 1024);

async function pair(control, { phone, companion }) {
  const shown = once(companion, 'qr', { signal: deadline });
  const loggedIn = companion.login(deadline);
  const [qr] = await Promise.race([shown, loggedIn.then(() => { throw new Error('logged in without a pairing'); })]);
  await control.scan(phone, qr);
  await loggedIn;
}

async function measureLogins(fleet) {
  const latencies = [];
  const cpu = cpuSeconds();
  const all = stopwatch();
  await eachBy(workers, fleet, async ({ companion }) => {
    const one = stopwatch();
    await companion.login(deadline);
    latencies.push(one());
  });
  const took = all();
  return {
    loginsPerSecond: round(sessions / took),
    loginP50Ms: percentile(latencies, 0.5), loginP99Ms: percentile(latencies, 0.99),
    loginCpuMs: round((cpuSeconds() - cpu) * 1000 / sessions),
  };
}

/** The session that a session writes to. */
const partner = (fleet, i) => fleet[(i + 1) % fleet.length];
const jid = ({ phone }) => `${phone}@s.whatsapp.net`;

/**
 * Lets each session write to its partner for the first time, one after the other: when many do it at once, most fail
 * within Baileys. It returns how often that failed, and the ids of the messages that come in from then on.
 */
async function meet(fleet) {
  const received = new Set();
  for (const { companion } of fleet) companion.on('message', ({ key, message }) => message && received.add(key.id));
  let firstContactFailed = 0;
  for (const [i, { companion }] of fleet.entries()) {
    deadline.throwIfAborted();
    await companion.send(jid(partner(fleet, i)), { text: 'first contact' }).catch(() => firstContactFailed++);
  }
  return { firstContactFailed, received };
}

/** Sends to the partners. A session writes one message at a time; each worker has sessions of its own. */
async function measureSends(fleet, received) {
  const latencies = [];
  const acked = [];
  let failed = 0;
  const cpu = cpuSeconds();
  const all = stopwatch();
  await Promise.all(Array.from({ length: workers }, async (_, worker) => {
    for (let n = worker, i = worker; n < sends; n += workers, i += workers) {
      deadline.throwIfAborted();
      if (i >= fleet.length) i = worker;
      const one = stopwatch();
      try {
        acked.push(await fleet[i].companion.send(jid(partner(fleet, i)), { text: `message ${n}` }));
        latencies.push(one());
      } catch {
        failed++;
      }
    }
  }));
  const took = all();
  const used = cpuSeconds() - cpu;
  return {
    sendsPerSecond: round(acked.length / took),
    p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99),
    sendCpuMs: round(used * 1000 / sends),
    failed, lost: await missing(acked, received),
  };
}

/** How many messages do not arrive within some seconds. */
async function missing(ids, received) {
  const waited = stopwatch();
  for (;;) {
    const count = ids.filter(id => !received.has(id)).length;
    if (count === 0 || waited() * 1000 > settled) return count;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

try {
  process.stdout.write(JSON.stringify(await main()) + '\n', () => process.exit(0));
} catch (error) {
  const reason = [error.message, error.cause?.message].filter(Boolean).join(': ');
  console.error(`load: ${deadline.aborted ? `not done after ${values.timeout} s` : reason}`);
  process.exit(1);
}
