// Clocks and counters.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

/** What the process occupies after a garbage collection, in bytes. */
export function memory() {
  collect();
  collect(); // What finalizers let go of.
  const { rss, heapUsed } = process.memoryUsage();
  return { rss, heapUsed };
}

/** Starts a clock and returns a function that reads it, in seconds. */
export function stopwatch() {
  const start = performance.now();
  return () => (performance.now() - start) / 1000;
}

/** The CPU time that the process has used, in seconds. */
export function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** The latency, in ms, that this part of the given ones, in seconds, does not exceed. */
export function percentile(latencies, part) {
  const sorted = latencies.toSorted((a, b) => a - b);
  return round((sorted[Math.ceil(sorted.length * part) - 1] ?? NaN) * 1000);
}

/** A figure with one decimal. */
export const round = figure => Math.round(figure * 10) / 10;

/** Does the work for each item, with so many workers at a time. The first error ends it. */
export async function eachBy(workers, items, work) {
  const left = items.values();
  await Promise.all(Array.from({ length: workers }, async () => {
    for (const item of left) await work(item);
  }));
}
