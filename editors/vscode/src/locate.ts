/** Which command starts the server. No part of it comes from the workspace: a cloned repository must not choose programs. */

import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join, posix, win32 } from "node:path";

/** Where a server may be found. storage: the folder in which this extension installs one.  path: the variable PATH. */
export interface Sources {
  readonly command: readonly string[];
  readonly interpreter: string;
  readonly storage: string;
  readonly path: string;
  readonly windows: boolean;
}

/** -I: the interpreter's own environment and nothing else: no current folder, no PYTHON… variable, no packages of the user. */
const LSP = ["-I", "-m", "completer", "lsp"];

/**
 * Return the command, or undefined where there is no server. The order: settings, our own installation, the PATH.
 * The program is always an absolute path: a name would be looked up in the current folder first on Windows.
 * Throws: for a setting that names a program by a relative path, or one that the PATH does not have.
 */
export async function locate(sources: Sources): Promise<readonly string[] | undefined> {
  const [program, ...args] = sources.command;
  if (program !== undefined) {
    return [await absolute("completer.server.command", program, sources), ...args];
  }
  if (sources.interpreter !== "") {
    return [await absolute("completer.server.interpreter", sources.interpreter, sources), ...LSP];
  }
  const python = environmentPython(sources.storage, sources.windows);
  if (await isProgram(python)) {
    return [python, ...LSP];
  }
  const unpacked = join(sources.storage, "program", sources.windows ? "completer.exe" : "completer");
  const found = (await isProgram(unpacked)) ? unpacked : await findOnPath("completer", sources.path, sources.windows);
  return found === undefined ? undefined : [found, "lsp"];
}

/** Return the absolute path of a program on the PATH, undefined if it is not there. Relative folders of the PATH are skipped. */
export async function findOnPath(name: string, path: string, windows: boolean): Promise<string | undefined> {
  const paths = windows ? win32 : posix;
  const file = windows && !name.endsWith(".exe") ? `${name}.exe` : name;
  for (const folder of path.split(paths.delimiter).filter((one) => paths.isAbsolute(one))) {
    if (await isProgram(paths.join(folder, file))) {
      return paths.join(folder, file);
    }
  }
  return undefined;
}

async function absolute(setting: string, program: string, { path, windows }: Sources): Promise<string> {
  const paths = windows ? win32 : posix;
  if (paths.isAbsolute(program)) {
    return program;
  }
  const isName = paths.basename(program) === program;
  const found = isName ? await findOnPath(program, path, windows) : undefined;
  if (found === undefined) {
    throw new Error(`the setting ${setting} names ${program}: write an absolute path, or the name of a program on the PATH`);
  }
  return found;
}

/** Return where the interpreter of the environment lies that this extension makes, whether it is there or not. */
export function environmentPython(storage: string, windows: boolean): string {
  return windows ? join(storage, "environment", "Scripts", "python.exe") : join(storage, "environment", "bin", "python");
}

export async function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
