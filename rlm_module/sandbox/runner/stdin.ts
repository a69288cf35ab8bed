// Owns stdin, so that the host can reach a process whose main thread is busy: interrupts act here, the rest is passed on.

import { deliver, INTERRUPT_FLAG, SEEN, type Shared, wake } from "./shared.ts";

const ANSWER = 4, INTERRUPT = 5;
const SIGINT = 2;
const HEADER = 13;
const ACKNOWLEDGE_MS = 25;

const buffer = new Uint8Array(64 * 1024);
let start = 0, end = 0; // what of the buffer is read and not yet used

function read(target: Uint8Array): number {
  const count = Deno.stdin.readSync(target);
  // The host is gone. Deno.exit would wait for a spinning main thread for ever.
  if (count === null) Deno.kill(Deno.pid, "SIGKILL");
  return count ?? 0;
}

function fill(target: Uint8Array): void {
  for (let at = 0; at < target.length;) {
    if (start === end && target.length - at >= buffer.length) {
      at += read(target.subarray(at));
      continue;
    }
    if (start === end) [start, end] = [0, read(buffer)];
    const count = Math.min(end - start, target.length - at);
    target.set(buffer.subarray(start, start + count), at);
    start += count;
    at += count;
  }
}

function interrupt(shared: Shared, id: number): void {
  if (wake(shared)) return;
  Atomics.store(shared.words, SEEN, 0);
  self.postMessage({ kind: INTERRUPT, id });
  // Where the main thread answers, Python is waiting and is woken there; an interrupt set now would hit its next line.
  if (Atomics.wait(shared.words, SEEN, 0, ACKNOWLEDGE_MS) === "timed-out") {
    Atomics.store(shared.words, INTERRUPT_FLAG, SIGINT);
  }
}

self.onmessage = (event: MessageEvent) => {
  const shared: Shared = event.data;
  const header = new Uint8Array(HEADER);
  const fields = new DataView(header.buffer);
  while (true) {
    fill(header);
    const kind = fields.getUint8(0);
    const id = fields.getUint32(1, true);
    const body = new Uint8Array(Number(fields.getBigUint64(5, true)));
    fill(body);
    if (kind === INTERRUPT) interrupt(shared, id);
    else if (kind !== ANSWER || !deliver(shared, id, body)) self.postMessage({ kind, id, body }, [body.buffer]);
  }
};
