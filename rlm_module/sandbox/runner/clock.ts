// The clocks that Python reads. What a cell reads is recorded, and handed out again where the cell is run again, so that
// it does what it did.

const MOST = 4096; // reads of a clock that are recorded per cell; later ones go on from the last

class Clock {
  private reads: number[] = [];
  private again: number[] = [];
  private next = 0;
  private offset = 0;
  private running = false;

  // A clock that goes on never steps back; the other one returns to the real time with each new cell.
  constructor(private readonly real: () => number, private readonly goesOn: boolean) {}

  begin(again: number[]): void {
    [this.reads, this.again, this.next, this.running] = [[], again, 0, true];
    if (!this.goesOn) this.offset = 0;
  }

  end(): number[] {
    this.running = false;
    return this.reads;
  }

  read(): number {
    if (!this.running) return this.real() + this.offset;
    const recorded = this.next < this.again.length ? this.again[this.next++] : undefined;
    if (recorded !== undefined) this.offset = recorded - this.real();
    const now = recorded ?? this.real() + this.offset;
    if (this.reads.length < MOST) this.reads.push(now);
    return now;
  }
}

const date = new Clock(Date.now.bind(Date), false);
const monotonic = new Clock(performance.now.bind(performance), true);
Date.now = () => date.read();
performance.now = () => monotonic.read();

// A record is the number of the first clock's reads (u32), those, and the other's (f64, little-endian).
export function beginCell(record: Uint8Array): void {
  const fields = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const dates = record.length >= 4 ? fields.getUint32(0, true) : 0;
  const reads: number[] = [];
  for (let at = 4; at + 8 <= record.length; at += 8) reads.push(fields.getFloat64(at, true));
  date.begin(reads.slice(0, dates));
  monotonic.begin(reads.slice(dates));
}

export function endCell(): Uint8Array {
  const dates = date.end();
  const reads = [...dates, ...monotonic.end()];
  const record = new Uint8Array(4 + 8 * reads.length);
  const fields = new DataView(record.buffer);
  fields.setUint32(0, dates.length, true);
  reads.forEach((read, index) => fields.setFloat64(4 + 8 * index, read, true));
  return record;
}
