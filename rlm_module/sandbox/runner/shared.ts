// Memory that Pyodide's thread and the stdin worker share: how a blocked or busy Python is reached.

export const INTERRUPT_FLAG = 0; // polled by Python
export const SEEN = 1; // set once Pyodide's thread has seen an interrupt while Python waits
const WAITING = 2; // the call whose answer that thread is blocked for; 0 for none
const STATE = 3;
const LENGTH = 4;
const MORE = 5;
const EMPTY = 0, FILLED = 1, INTERRUPTED = 2;
const SLOT_BYTES = 256 * 1024;

export interface Shared {
  words: Int32Array;
  slot: Uint8Array; // a piece of an answer
}

export function newShared(): Shared {
  return {
    words: new Int32Array(new SharedArrayBuffer(24)),
    slot: new Uint8Array(new SharedArrayBuffer(SLOT_BYTES)),
  };
}

// Pyodide's side: blocks until the answer to `id` is there; undefined if an interrupt came first. After `timeout`
// milliseconds without either it is an empty answer.
export function receive({ words, slot }: Shared, id: number, ask: () => void, timeout = Infinity): Uint8Array | undefined {
  Atomics.store(words, STATE, EMPTY);
  Atomics.store(words, WAITING, id);
  ask();
  const pieces: Uint8Array[] = [];
  let more = true;
  while (more) {
    const outcome = Atomics.wait(words, STATE, EMPTY, timeout);
    if (outcome === "timed-out" || Atomics.load(words, STATE) === INTERRUPTED) {
      Atomics.store(words, WAITING, 0);
      return outcome === "timed-out" ? new Uint8Array(0) : undefined;
    }
    pieces.push(slot.slice(0, Atomics.load(words, LENGTH)));
    more = Atomics.load(words, MORE) === 1;
    if (!more) Atomics.store(words, WAITING, 0);
    Atomics.store(words, STATE, EMPTY);
    Atomics.notify(words, STATE);
  }
  return pieces.length === 1 ? pieces[0] : joined(pieces);
}

function joined(pieces: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

// The worker's side: hands an answer over if Pyodide's thread is blocked for it.
export function deliver({ words, slot }: Shared, id: number, body: Uint8Array): boolean {
  if (Atomics.load(words, WAITING) !== id) return false;
  let at = 0;
  do {
    Atomics.wait(words, STATE, FILLED); // until the piece before has been taken
    const piece = body.subarray(at, at + SLOT_BYTES);
    slot.set(piece);
    at += piece.length;
    Atomics.store(words, LENGTH, piece.length);
    Atomics.store(words, MORE, at < body.length ? 1 : 0);
    Atomics.store(words, STATE, FILLED);
    Atomics.notify(words, STATE);
  } while (at < body.length);
  return true;
}

// The worker's side: ends the wait of a blocked thread.
export function wake({ words }: Shared): boolean {
  if (Atomics.load(words, WAITING) === 0) return false;
  Atomics.store(words, STATE, INTERRUPTED);
  Atomics.notify(words, STATE);
  return true;
}
