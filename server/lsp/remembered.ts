/** The latest answers by what was asked. One question that is asked twice at the same time is worked on twice. */
export class Remembered<T> {
  private readonly most: number;
  private readonly values = new Map<string, T>();

  constructor(most: number) {
    this.most = most;
  }

  async get(key: string, make: () => Promise<T>): Promise<T> {
    const known = this.known(key);
    if (known !== null) return known;
    const made = await make();
    this.put(key, made);
    return made;
  }

  /** null: not among the latest. */
  known(key: string): T | null {
    const known = this.values.get(key);
    if (known === undefined) return null;
    this.values.delete(key);
    this.values.set(key, known);
    return known;
  }

  put(key: string, value: T): void {
    this.values.delete(key);
    this.values.set(key, value);
    const [oldest] = this.values.keys();
    if (this.values.size > this.most) this.values.delete(oldest!);
  }
}
