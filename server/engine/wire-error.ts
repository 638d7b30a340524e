import { Cancelled, InputError } from '../errors.ts';

/** An error as it crosses a thread boundary: structured clone would lose the class and the fields. */
export interface WireError {
  name: string;
  message: string;
  stack: string | undefined;
  /** Of an InputError. */
  where?: string;
  cause?: WireError;
}

export function toWire(thrown: unknown): WireError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  return {
    name: error.name,
    message: error.message,
    stack: error.stack,
    ...(error instanceof InputError && { where: error.where }),
    ...(error.cause instanceof Error && { cause: toWire(error.cause) }),
  };
}

/** The error again, with the stack of where it was thrown: InputError, Cancelled, or an Error with its name. */
export function fromWire(wire: WireError): Error {
  const error = revive(wire);
  error.message = wire.message;
  if (wire.stack !== undefined) error.stack = wire.stack;
  if (wire.cause) error.cause = fromWire(wire.cause);
  return error;
}

function revive({ name, where }: WireError): Error {
  if (where !== undefined) return new InputError(where, '', '');
  if (name === 'Cancelled') return new Cancelled();
  const error = new Error();
  error.name = name;
  return error;
}
