/** Runs programs to their end, with their output in the log. */

import { spawn } from "node:child_process";

/** What a program needs to report and to be stopped. onLine: called for each line of its output. */
export interface Watcher {
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Run a program in a folder of ours, never a workspace. Throws when it cannot be started, fails, or is aborted; the message
 * is its last line.  program: an absolute path.  cwd: exists.
 */
export function run(program: string, args: readonly string[], cwd: string, watcher: Watcher): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", "pipe"], signal: watcher.signal });
    let last = "";
    const listen = (stream: NodeJS.ReadableStream): void => {
      let rest = "";
      stream.setEncoding("utf8").on("data", (data: string) => {
        const lines = (rest + data).split(/\r?\n/);
        rest = lines.pop() ?? "";
        for (const line of lines.filter((one) => one.trim() !== "")) {
          last = line.trim();
          watcher.onLine(last);
        }
      });
    };
    listen(child.stdout);
    listen(child.stderr);
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(last || `${program} ended with ${code}`))));
  });
}
