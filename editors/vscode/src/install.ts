/** Getting a server where there is none: an environment of our own, a program that was downloaded, or an interpreter. */

import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import * as vscode from "vscode";

import { environmentPython, findOnPath, isProgram } from "./locate.ts";
import { run, type Watcher } from "./processes.ts";
import { SECTION, userSetting } from "./settings.ts";

const WINDOWS = process.platform === "win32";
const PYTHONS = WINDOWS ? ["py", "python"] : ["python3.13", "python3.12", "python3.11", "python3", "python"];
const NEW_ENOUGH = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"; // Debian packs ensurepip apart

const INSTALL = "Install with Python";
const PROGRAM = "Choose a Program or Archive…";
const INTERPRETER = "Choose a Python…";

/** Ask the user how to get a server, and do it. then: called when there is one. Never throws. */
export async function offerInstallation(
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
  then: () => Promise<void>,
): Promise<void> {
  const question = "Completer needs its server on this machine, and there is none yet.";
  const answer = await vscode.window.showInformationMessage(question, INSTALL, PROGRAM, INTERPRETER);
  const storage = context.globalStorageUri.fsPath;
  try {
    await mkdir(storage, { recursive: true }); // everything below runs in it
    if (answer === INSTALL) {
      await withProgress(log, (watcher) => makeEnvironment(storage, join(context.extensionPath, "server"), watcher));
    } else if (answer === PROGRAM) {
      await chooseProgram(storage, log);
    } else if (answer === INTERPRETER) {
      await chooseInterpreter(storage);
    } else {
      return;
    }
    await then();
  } catch (error) {
    log.error(String(error));
    const message = `Completer could not be installed: ${error instanceof Error ? error.message : String(error)}`;
    if ((await vscode.window.showErrorMessage(message, "Show the Log")) !== undefined) {
      log.show();
    }
  }
}

/**
 * Make a Python environment below `storage` with the server that came with this extension, so that both fit together.
 * Half an environment is taken away again.  Throws: without a Python of at least 3.11, and when pip fails.
 */
async function makeEnvironment(storage: string, wheels: string, watcher: Watcher): Promise<void> {
  const folder = join(storage, "environment");
  const wheel = (await readdir(wheels).catch(() => [])).find((name) => name.endsWith(".whl"));
  if (wheel === undefined) {
    throw new Error("this build of the extension brings no server: choose a program or a Python instead");
  }
  const python = await findPython(storage, watcher);
  try {
    await rm(folder, { recursive: true, force: true });
    await run(python, ["-I", "-m", "venv", folder], storage, watcher); // -I: no PYTHONPATH, nothing from the current folder
    const pip = ["-I", "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"];
    const all = [...pip, ...userSetting<string[]>("server.pipArguments"), `${join(wheels, wheel)}[cpu]`];
    await run(environmentPython(storage, WINDOWS), all, storage, watcher);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function findPython(storage: string, watcher: Watcher): Promise<string> {
  for (const name of PYTHONS) {
    const python = await onPath(name);
    const works = async (path: string): Promise<boolean> =>
      run(path, ["-I", "-c", NEW_ENOUGH], storage, { ...watcher, onLine: () => undefined }).then(
        () => true,
        () => false,
      );
    if (python !== undefined && (await works(python))) {
      return python;
    }
  }
  throw new Error("no Python 3.11 or later with venv was found on the PATH: install one, or choose a program instead");
}

function onPath(name: string): Promise<string | undefined> {
  return findOnPath(name, process.env["PATH"] ?? "", WINDOWS);
}

async function chooseProgram(storage: string, log: vscode.LogOutputChannel): Promise<void> {
  const path = await chooseFile("The program completer, or the archive that holds it");
  if (!/\.(tar\.gz|tgz|tar\.xz|zip)$/.test(path)) {
    await set("server.command", [path, "lsp"]);
    return;
  }
  const folder = join(storage, "program");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const tar = await onPath("tar");
  if (tar === undefined) {
    throw new Error("there is no program tar on the PATH: unpack the archive yourself, and choose the program in it");
  }
  await withProgress(log, (watcher) => run(tar, ["-xf", path, "-C", folder, "--strip-components", "1"], storage, watcher));
  if (!(await isProgram(join(folder, WINDOWS ? "completer.exe" : "completer")))) {
    throw new Error(`${path} holds no program named completer`);
  }
}

async function chooseInterpreter(storage: string): Promise<void> {
  const path = await chooseFile("The Python of an environment in which completer is installed");
  const watcher = { onLine: () => undefined, signal: AbortSignal.timeout(20_000) };
  await run(path, ["-I", "-c", "import completer"], storage, watcher); // as it will be started
  await set("server.interpreter", path);
}

async function chooseFile(title: string): Promise<string> {
  const [uri] = (await vscode.window.showOpenDialog({ title, canSelectMany: false })) ?? [];
  if (uri === undefined) {
    throw new Error("nothing was chosen");
  }
  return uri.fsPath;
}

async function set(name: string, value: unknown): Promise<void> {
  await vscode.workspace.getConfiguration(SECTION).update(name, value, vscode.ConfigurationTarget.Global);
}

function withProgress(log: vscode.LogOutputChannel, work: (watcher: Watcher) => Promise<void>): Thenable<void> {
  const options = { location: vscode.ProgressLocation.Notification, title: "Installing completer", cancellable: true };
  return vscode.window.withProgress(options, (progress, token) => {
    const abort = new AbortController();
    token.onCancellationRequested(() => abort.abort());
    const onLine = (line: string): void => {
      log.info(line);
      progress.report({ message: line.slice(0, 80) });
    };
    return work({ onLine, signal: abort.signal });
  });
}
