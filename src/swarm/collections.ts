/** Two small containers for hot paths: a ring with cheap ends, and a heap. */

/** A queue with constant-time work at both ends. */
export class Deque<T> {
  private items: (T | undefined)[] = new Array<T | undefined>(16);
  private head = 0;
  length = 0;

  pushBack(item: T): void {
    this.grow();
    this.items[(this.head + this.length++) & (this.items.length - 1)] = item;
  }

  pushFront(item: T): void {
    this.grow();
    this.head = (this.head - 1) & (this.items.length - 1);
    this.items[this.head] = item;
    this.length++;
  }

  popFront(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.items[this.head];
    this.items[this.head] = undefined;
    this.head = (this.head + 1) & (this.items.length - 1);
    this.length--;
    return item;
  }

  /** Exchanges the first item with the one at `index`. */
  swapFront(index: number): void {
    const at = (this.head + index) & (this.items.length - 1);
    [this.items[this.head], this.items[at]] = [this.items[at], this.items[this.head]];
  }

  /** Sizes are powers of two, so that positions wrap by a mask. */
  private grow(): void {
    if (this.length < this.items.length) return;
    const ordered = [...this.items.slice(this.head), ...this.items.slice(0, this.head)];
    this.items = ordered.concat(new Array<T | undefined>(ordered.length));
    this.head = 0;
  }
}

/** A binary heap with numeric keys, smallest first; equal keys leave in the order in which they came. */
export class Heap<T> {
  private keys: number[] = [];
  private orders: number[] = [];
  private items: T[] = [];
  private pushed = 0;

  get length(): number {
    return this.items.length;
  }

  /** The smallest key, or Infinity. */
  get nextKey(): number {
    return this.keys[0] ?? Infinity;
  }

  push(key: number, item: T): void {
    const order = this.pushed++;
    let index = this.items.length;
    this.items.push(item);
    this.keys.push(key);
    this.orders.push(order);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.isBefore(key, order, parent)) break;
      this.move(parent, index);
      index = parent;
    }
    this.put(index, key, order, item);
  }

  pop(): T | undefined {
    const top = this.items[0];
    const item = this.items.pop();
    const key = this.keys.pop();
    const order = this.orders.pop();
    const size = this.items.length;
    if (size === 0 || item === undefined || key === undefined || order === undefined) return top;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= size) break;
      const right = child + 1;
      if (right < size && this.isBefore(this.keys[right] ?? 0, this.orders[right] ?? 0, child)) child = right;
      if (this.isBefore(key, order, child)) break;
      this.move(child, index);
      index = child;
    }
    this.put(index, key, order, item);
    return top;
  }

  private isBefore(key: number, order: number, index: number): boolean {
    const other = this.keys[index] ?? Infinity;
    return key < other || (key === other && order < (this.orders[index] ?? 0));
  }

  private move(from: number, to: number): void {
    const item = this.items[from];
    if (item !== undefined) this.put(to, this.keys[from] ?? 0, this.orders[from] ?? 0, item);
  }

  private put(index: number, key: number, order: number, item: T): void {
    this.keys[index] = key;
    this.orders[index] = order;
    this.items[index] = item;
  }
}
