/** The latest answers by what was asked. One question that is asked twice at the same time is worked on twice. */
export class Remembered<T> {
  private readonly most: number;
  private readonly values = new Map<string, T>();

  constructor(most: number) {
    this.most = most;
  }

  async get(key: string, make: () => Promise<T>): Promise<T> {
    const known = this.values.get(key);
    if (known !== undefined) {
      this.values.delete(key);
      this.values.set(key, known);
      return known;
    }
    const made = await make();
    this.values.set(key, made);
    const [oldest] = this.values.keys();
    if (this.values.size > this.most) this.values.delete(oldest!);
    return made;
  }
}
