import fs from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.ts';
import { type Option, option, quote } from './options.ts';

/** A file that exists. The value is its absolute path. */
export function file(summary: string): Option<string | undefined> {
  return option<string | undefined>({ placeholder: 'FILE', summary, parse: existingFile });
}

/** A file or folder that exists. The value is its absolute path. */
export function source(summary: string): Option<string | undefined> {
  return option<string | undefined>({
    placeholder: 'PATH',
    summary,
    parse: (value, flag) => existing(value, flag, 'any'),
  });
}

/** A folder that exists. The value is its absolute path. */
export function folder(summary: string): Option<string | undefined> {
  return option<string | undefined>({
    placeholder: 'DIR',
    summary,
    parse: (value, flag) => existing(value, flag, 'folder'),
  });
}

/** A file or folder that exists. The value is its absolute path. */
export function existingPath(summary: string): Option<string | undefined> {
  return option<string | undefined>({
    placeholder: 'PATH',
    summary,
    parse: (value, flag) => {
      const target = path.resolve(value);
      if (value !== '' && fs.existsSync(target)) return target;
      throw new InputError(flag, `${quote(value)} does not exist`, 'Correct the path.');
    },
  });
}

/** A folder that need not exist. The value is its absolute path. */
export function newFolder(summary: string): Option<string | undefined> {
  return option<string | undefined>({
    placeholder: 'DIR',
    summary,
    parse: (value, flag) => {
      if (value === '') throw new InputError(flag, 'the value is empty', 'Give a folder.');
      const target = path.resolve(value);
      if (fs.existsSync(target) && !fs.statSync(target).isDirectory()) {
        throw new InputError(flag, `${target} is a file`, 'Give a folder.');
      }
      return target;
    },
  });
}

/** A file or folder that need not exist. The value is its absolute path. */
export function newPath(summary: string): Option<string | undefined> {
  return option<string | undefined>({
    placeholder: 'PATH',
    summary,
    parse: (value, flag) => {
      if (value === '') throw new InputError(flag, 'the value is empty', 'Give a path.');
      return path.resolve(value);
    },
  });
}

export interface NamedFile {
  path: string;
  name: string;
}

/** FILE or FILE=NAME. Without a name the file's own, less its extension, serves. */
export function namedFile(summary: string): Option<NamedFile | undefined> {
  return option<NamedFile | undefined>({
    placeholder: 'FILE[=NAME]',
    summary,
    parse: (value, flag): NamedFile => {
      const cut = fs.existsSync(value) ? -1 : value.lastIndexOf('=');
      const target = existingFile(cut < 0 ? value : value.slice(0, cut), flag);
      const name = cut < 0 ? path.parse(target).name : value.slice(cut + 1);
      if (name === '')
        throw new InputError(flag, `${quote(value)} has an empty name`, 'Give FILE=NAME or FILE.');
      return { path: target, name };
    },
  });
}

function existingFile(value: string, flag: string): string {
  return existing(value, flag, 'file');
}

function existing(value: string, flag: string, kind: 'file' | 'folder' | 'any'): string {
  const target = path.resolve(value);
  const stat = value === '' ? undefined : fs.statSync(target, { throwIfNoEntry: false });
  if (!stat)
    throw new InputError(
      flag,
      `${value === '' ? 'the value is empty' : `${target} does not exist`}`,
      'Check the path.',
    );
  if (kind === 'file' && stat.isDirectory())
    throw new InputError(flag, `${target} is a folder`, 'Give a file.');
  if (kind === 'folder' && !stat.isDirectory())
    throw new InputError(flag, `${target} is not a folder`, 'Give a folder.');
  return target;
}
