const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  ...['January', 'February', 'March', 'April', 'May', 'June'],
  ...['July', 'August', 'September', 'October', 'November', 'December'],
];

/**
 * A day by Python's strftime in the C locale, at midnight.
 * @param date YYYY-MM-DD
 */
export function strftime(date: string, format: string): string {
  const day = new Date(`${date}T00:00:00Z`);
  const two = (n: number) => String(n).padStart(2, '0');
  const month = day.getUTCMonth();
  const name = DAYS[day.getUTCDay()]!;
  const dayOfYear = (day.getTime() - Date.UTC(day.getUTCFullYear(), 0, 1)) / 86_400_000 + 1;
  const parts: Record<string, string> = {
    Y: String(day.getUTCFullYear()).padStart(4, '0'),
    y: two(day.getUTCFullYear() % 100),
    m: two(month + 1),
    d: two(day.getUTCDate()),
    j: String(dayOfYear).padStart(3, '0'),
    B: MONTHS[month]!,
    b: MONTHS[month]!.slice(0, 3),
    A: name,
    a: name.slice(0, 3),
    H: '00',
    I: '12',
    M: '00',
    S: '00',
    p: 'AM',
    F: date,
    '%': '%',
  };
  return format.replace(/%(.)/g, (whole, letter: string) => parts[letter] ?? whole);
}
