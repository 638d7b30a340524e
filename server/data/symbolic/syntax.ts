/**
 * Parser of the expressions in GSM-Symbolic templates: the part of Python's expression syntax that they use. An
 * expression becomes a tree of plain data; nothing of it is ever executed as code. The `$` that some templates put before
 * a variable is dropped.
 */

export type Expression =
  | { op: 'number'; text: string }
  | { op: 'string'; text: string }
  | { op: 'name'; name: string }
  | { op: 'list' | 'tuple'; items: Expression[] }
  | { op: 'call'; name: string; args: Expression[] }
  | { op: 'index'; target: Expression; index: Expression }
  | { op: 'slice'; target: Expression; from: Expression | null; to: Expression | null }
  | { op: 'negate' | 'not'; value: Expression }
  | { op: 'arithmetic'; sign: ArithmeticSign; left: Expression; right: Expression }
  | { op: 'compare'; first: Expression; rest: { sign: CompareSign; value: Expression }[] }
  | { op: 'and' | 'or'; left: Expression; right: Expression }
  | { op: 'if'; condition: Expression; yes: Expression; no: Expression };

export type ArithmeticSign = '+' | '-' | '*' | '/' | '//' | '%' | '**';
export type CompareSign = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in';

/** What is wrong with an expression, or with the values in it. */
export class ExpressionError extends Error {}

const TOKEN =
  /\s*(?:(\d+(?:\.\d*)?|\.\d+)|\$?([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(\*\*|\/\/|[=!<>]=|[-+*/%<>()[\],:]))/uy;
const KEYWORDS = new Set(['and', 'or', 'not', 'in', 'if', 'else']);
const COMPARISONS = new Set(['==', '!=', '<', '<=', '>', '>=', 'in']);
/** Deeper nesting than this is no template but an attack on the stack. */
const MAX_DEPTH = 60;

/** Parses one expression. ExpressionError where it is not one. */
export function parseExpression(text: string): Expression {
  return new Parser(text).whole();
}

type Token = { kind: 'number' | 'name' | 'string' | 'sign' | 'end'; text: string };

class Parser {
  readonly #tokens: Token[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  whole(): Expression {
    const tree = this.#ternary();
    if (this.#peek.kind !== 'end') this.#unexpected();
    return tree;
  }

  get #peek(): Token {
    return this.#tokens[this.#at]!;
  }

  #unexpected(): never {
    const { kind, text } = this.#peek;
    throw new ExpressionError(kind === 'end' ? 'ends too early' : `has an unexpected ${text}`);
  }

  #accept(sign: string): boolean {
    const { kind, text } = this.#peek;
    if (kind !== 'sign' || text !== sign) return false;
    this.#at++;
    return true;
  }

  #expect(sign: string): void {
    if (!this.#accept(sign)) this.#unexpected();
  }

  #ternary(): Expression {
    if (++this.#depth > MAX_DEPTH) throw new ExpressionError('is nested too deeply');
    let tree = this.#or();
    if (this.#accept('if')) {
      const condition = this.#or();
      this.#expect('else');
      tree = { op: 'if', condition, yes: tree, no: this.#ternary() };
    }
    this.#depth--;
    return tree;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.#accept('or')) left = { op: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.#accept('and')) left = { op: 'and', left, right: this.#not() };
    return left;
  }

  #not(): Expression {
    let negations = 0;
    while (this.#accept('not')) negations++;
    let tree = this.#comparison();
    for (; negations > 0; negations--) tree = { op: 'not', value: tree };
    return tree;
  }

  #comparison(): Expression {
    const first = this.#sum();
    const rest: { sign: CompareSign; value: Expression }[] = [];
    for (;;) {
      const { kind, text } = this.#peek;
      if (kind !== 'sign') break;
      if (text === 'not') {
        this.#at++;
        this.#expect('in');
        rest.push({ sign: 'not in', value: this.#sum() });
      } else if (COMPARISONS.has(text)) {
        this.#at++;
        rest.push({ sign: text as CompareSign, value: this.#sum() });
      } else break;
    }
    return rest.length === 0 ? first : { op: 'compare', first, rest };
  }

  #sum(): Expression {
    return this.#leftAssociative(['+', '-'], () => this.#product());
  }

  #product(): Expression {
    return this.#leftAssociative(['*', '/', '//', '%'], () => this.#unary());
  }

  #leftAssociative(signs: ArithmeticSign[], operand: () => Expression): Expression {
    let left = operand();
    for (;;) {
      const sign = signs.find((s) => this.#accept(s));
      if (!sign) return left;
      left = { op: 'arithmetic', sign, left, right: operand() };
    }
  }

  #unary(): Expression {
    let negative = false;
    for (;;) {
      if (this.#accept('-')) negative = !negative;
      else if (!this.#accept('+')) break;
    }
    const value = this.#power();
    return negative ? { op: 'negate', value } : value;
  }

  #power(): Expression {
    const left = this.#postfix();
    // Right-associative and tighter than a sign on its left, as in Python: -2 ** 2 is -4.
    return this.#accept('**') ? { op: 'arithmetic', sign: '**', left, right: this.#unary() } : left;
  }

  #postfix(): Expression {
    let target = this.#atom();
    while (this.#accept('[')) {
      const from = this.#peek.text === ':' ? null : this.#ternary();
      if (this.#accept(':')) {
        const to = this.#peek.text === ']' ? null : this.#ternary();
        target = { op: 'slice', target, from, to };
      } else target = { op: 'index', target, index: from ?? this.#unexpected() };
      this.#expect(']');
    }
    return target;
  }

  #atom(): Expression {
    const { kind, text } = this.#peek;
    if (kind === 'sign') {
      if (this.#accept('[')) return { op: 'list', items: this.#items(']').items };
      this.#expect('(');
      const { items, comma } = this.#items(')');
      return items.length === 1 && !comma ? items[0]! : { op: 'tuple', items };
    }
    if (kind === 'end') this.#unexpected();
    this.#at++;
    if (kind === 'number') return { op: 'number', text };
    if (kind === 'string') return { op: 'string', text };
    if (this.#accept('(')) return { op: 'call', name: text, args: this.#items(')').items };
    return { op: 'name', name: text };
  }

  #items(close: string): { items: Expression[]; comma: boolean } {
    const items: Expression[] = [];
    let comma = false;
    while (!this.#accept(close)) {
      if (items.length > 0 && !comma) this.#unexpected();
      items.push(this.#ternary());
      comma = this.#accept(',');
    }
    return { items, comma };
  }
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < end; ) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match)
      throw new ExpressionError(`cannot be read from ${JSON.stringify(text.slice(from, from + 20))}`);
    const [, number, name, string, sign] = match;
    if (number !== undefined) tokens.push({ kind: 'number', text: number });
    else if (string !== undefined) tokens.push({ kind: 'string', text: unquote(string) });
    else if (name !== undefined) tokens.push({ kind: KEYWORDS.has(name) ? 'sign' : 'name', text: name });
    else tokens.push({ kind: 'sign', text: sign! });
  }
  tokens.push({ kind: 'end', text: '' });
  return tokens;
}

function unquote(literal: string): string {
  return literal.slice(1, -1).replace(/\\(.)/gs, (_, char: string) => (char === 'n' ? '\n' : char));
}
