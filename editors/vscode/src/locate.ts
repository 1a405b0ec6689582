/** Which command starts the server. No part of it comes from the workspace: a cloned repository must not choose programs. */

import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** Where a server may be found. storage: the folder in which this extension installs one.  path: the variable PATH. */
export interface Sources {
  readonly command: readonly string[];
  readonly interpreter: string;
  readonly storage: string;
  readonly path: string;
  readonly windows: boolean;
}

const LSP = ["-m", "completer", "lsp"];

/** Return the command, or undefined where there is no server. The order: settings, our own installation, the PATH. */
export async function locate(sources: Sources): Promise<readonly string[] | undefined> {
  if (sources.command.length > 0) {
    return sources.command;
  }
  if (sources.interpreter !== "") {
    return [sources.interpreter, ...LSP];
  }
  const python = environmentPython(sources.storage, sources.windows);
  if (await isProgram(python)) {
    return [python, ...LSP];
  }
  const name = sources.windows ? "completer.exe" : "completer";
  const folders = [join(sources.storage, "program"), ...sources.path.split(delimiter).filter((folder) => folder !== "")];
  for (const folder of folders) {
    if (await isProgram(join(folder, name))) {
      return [join(folder, name), "lsp"];
    }
  }
  return undefined;
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
