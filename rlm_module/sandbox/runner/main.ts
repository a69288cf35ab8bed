// Runs Pyodide and carries frames between it and the host. Values are none of this file's business: bodies are bytes.
//
// Wire: a frame is kind (u8), id (u32), length (u64), little-endian, then `length` bytes. Frames to the host go straight
// to stdout; Pyodide's own stdout never does. Frames from the host arrive through the worker that owns stdin, which can
// interrupt this thread while Python keeps it busy.

export const SETUP = 1, LOAD = 2, CELL = 3, ANSWER = 4, INTERRUPT = 5, FORGET = 6;
const READY = 16, DONE = 17, CALL = 18, DROP = 19, START = 20, AWAIT = 21;
const STRAY_LIMIT = 64 * 1024;

type Python = Record<string, any>;

import { beginCell, endCell } from "./clock.ts";
import { INTERRUPT_FLAG, newShared, receive, SEEN } from "./shared.ts";

const [runtime, snapshotPath] = Deno.args;
const shared = newShared();
const worker = new Worker(new URL("./stdin.ts", import.meta.url), { type: "module" });

const { loadPyodide } = await import(`file://${runtime}/pyodide.mjs`);
const python: Python = await loadPyodide({
  indexURL: `${runtime}/`,
  _loadSnapshot: Deno.readFileSync(snapshotPath),
});
delete python._api.config._loadSnapshot; // 30 MB that nothing needs any more
(globalThis as any).gc();

// Deno's own exit would wait for the worker, which is blocked on stdin.
function die(): never {
  Deno.kill(Deno.pid, "SIGKILL");
  throw new Error("unreachable");
}
Deno.exit = die;

const utf8 = new TextEncoder();
const strayText = new TextDecoder();
let stray: string[] = [], strayLength = 0;
const collectStray = {
  write(bytes: Uint8Array): number {
    if (strayLength < STRAY_LIMIT) stray.push(strayText.decode(bytes.slice(0, STRAY_LIMIT - strayLength)));
    strayLength += bytes.length;
    return bytes.length;
  },
};
// Deno's console would write these to stdout, between the frames.
console.log = console.info = console.debug = (...args: unknown[]) => {
  const shown = args.map((arg) => typeof arg === "string" ? arg : Deno.inspect(arg));
  collectStray.write(utf8.encode(shown.join(" ") + "\n"));
};
python.setStdout(collectStray);
python.setStderr(collectStray);

function send(kind: number, id: number, body: Uint8Array): void {
  const frame = new Uint8Array(13 + body.length);
  const header = new DataView(frame.buffer);
  header.setUint8(0, kind);
  header.setUint32(1, id, true);
  header.setBigUint64(5, BigInt(body.length), true);
  frame.set(body, 13);
  for (let rest = frame; rest.length > 0;) rest = rest.subarray(Deno.stdout.writeSync(rest));
}

const pending = new Map<number, (reply: Uint8Array | undefined) => void>();
let lastCall = 0;

// Calls that were started before Python asks for them, and the answers of those that have one.
const early = new Map<number, Promise<Uint8Array | undefined>>();
const arrived = new Map<number, Uint8Array | undefined>();

const wire = {
  // A call that blocks this thread: much faster than a promise, and possible wherever Python is.
  ask(request: string): Uint8Array | undefined {
    const id = ++lastCall;
    return receive(shared, id, () => send(CALL, id, utf8.encode(request)));
  },
  call(request: string, kind = CALL): Promise<Uint8Array | undefined> {
    const id = ++lastCall;
    return new Promise((resolve) => {
      pending.set(id, resolve);
      send(kind, id, utf8.encode(request));
    });
  },
  start(request: string): number {
    const answer = wire.call(request, START);
    const id = lastCall;
    early.set(id, answer);
    answer.then((reply) => early.has(id) && arrived.set(id, reply));
    return id;
  },
  // The answer to a call that was started, where it is here already; else a promise of it. The host hears that Python
  // waits from now on, for its clock of the cell stands still then.
  finish(id: number): Uint8Array | Promise<Uint8Array | undefined> {
    const answer = arrived.get(id) ?? early.get(id)!;
    if (pending.has(id)) send(AWAIT, id, new Uint8Array(0));
    arrived.delete(id);
    early.delete(id);
    return answer;
  },
  drop(id: number): void {
    arrived.delete(id);
    early.delete(id);
    if (pending.delete(id)) send(DROP, id, new Uint8Array(0));
  },
  // True after the full time, false when an interrupt ended it.
  sleep(seconds: number): boolean {
    return receive(shared, ++lastCall, () => {}, seconds * 1000) !== undefined;
  },
  stray(): string {
    const text = stray.join("");
    stray = [];
    strayLength = 0;
    return text;
  },
};

function answerAllPending(): void {
  const waiting = [...pending.values()];
  pending.clear();
  for (const resolve of waiting) resolve(undefined);
}

const PythonError = python.ffi.PythonError; // taken now: after a crash, Pyodide refuses every access
const prelude: Python = python.pyimport("rlm_module.sandbox.guest.prelude");
prelude.connect(wire);
const runCell = prelude.run.callPromising.bind(prelude.run);
python.setInterruptBuffer(shared.words);
let runningCell = 0;

function bytesOf(result: Python): Uint8Array {
  const view = result.getBuffer("u8");
  const copy = view.data.slice();
  view.release();
  result.destroy();
  return copy;
}

// An error that escaped Python's own handling (an interrupt or a MemoryError in its last lines), as a codec value.
function escaped(error: any): Uint8Array {
  if (!(error instanceof PythonError)) {
    // WebAssembly trapped, for one on a stack overflow: this Python is dead, and the host makes another.
    console.error("Python crashed: " + String(error?.message ?? error).split("\n")[0]);
    die();
  }
  const interrupted = error.type === "KeyboardInterrupt";
  const kind = interrupted ? "interrupted" : "exception";
  const message = interrupted ? "the cell ran over its time limit" : error.message.trim().split("\n").at(-1).slice(0, 2000);
  const failure = { kind, type: error.type, message, traceback: `${error.type}: ${message}` };
  return utf8.encode("J" + JSON.stringify({ stdout: "", stderr: "", value: null, error: failure, final: null, unused: 0 }));
}

// A cell's answer: the length of what it read of the clocks (u32, little-endian), that, and its result.
function withClock(clock: Uint8Array, result: Uint8Array): Uint8Array {
  const whole = new Uint8Array(4 + clock.length + result.length);
  new DataView(whole.buffer).setUint32(0, clock.length, true);
  whole.set(clock, 4);
  whole.set(result, 4 + clock.length);
  return whole;
}

async function handle(kind: number, id: number, body: Uint8Array): Promise<void> {
  if (kind === ANSWER) {
    const resolve = pending.get(id);
    pending.delete(id);
    resolve?.(body);
  } else if (kind === CELL) {
    const fields = new DataView(body.buffer);
    const number = fields.getUint32(0, true);
    const code = 8 + fields.getUint32(4, true);
    beginCell(body.subarray(8, code));
    runningCell = id;
    Atomics.store(shared.words, INTERRUPT_FLAG, 0);
    let result: Uint8Array;
    try {
      result = bytesOf(await runCell(new TextDecoder().decode(body.subarray(code)), number));
    } catch (error) {
      result = escaped(error);
    }
    runningCell = 0;
    Atomics.store(shared.words, INTERRUPT_FLAG, 0);
    answerAllPending();
    early.clear();
    arrived.clear();
    send(DONE, id, withClock(endCell(), result));
  } else if (kind === LOAD) {
    const split = 2 + new DataView(body.buffer).getUint16(0, true);
    send(DONE, id, bytesOf(prelude.load(new TextDecoder().decode(body.subarray(2, split)), body.subarray(split))));
  } else if (kind === SETUP) {
    send(DONE, id, bytesOf(prelude.setup(body)));
  } else if (kind === FORGET) {
    send(DONE, id, bytesOf(prelude.forget(body)));
  }
}

worker.onmessage = (event: MessageEvent) => {
  const { kind, id, body } = event.data;
  if (kind !== INTERRUPT) {
    handle(kind, id, body);
    return;
  }
  // This thread is free, so Python waits (or has just finished): what must end is the wait.
  Atomics.store(shared.words, INTERRUPT_FLAG, 0);
  Atomics.store(shared.words, SEEN, 1);
  Atomics.notify(shared.words, SEEN);
  if (runningCell === id) {
    prelude.interrupt();
    answerAllPending();
  }
};
globalThis.addEventListener("unhandledrejection", (event) => event.preventDefault());

worker.postMessage(shared);
await Deno.permissions.revoke({ name: "read" });
send(READY, 0, new Uint8Array(0));
