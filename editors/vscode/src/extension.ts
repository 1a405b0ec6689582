/** What VS Code calls: wires the parts together. */

import * as vscode from "vscode";

import { registerCommands } from "./commands.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Pages } from "./pages.ts";
import { StatusBar } from "./statusBar.ts";

let lifecycle: Lifecycle | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel("Completer", { log: true });
  const bar = new StatusBar();
  const pages = new Pages();
  lifecycle = new Lifecycle(context, log, bar);
  const commands = registerCommands({ context, log, lifecycle, bar, pages });
  context.subscriptions.push(log, bar, pages, lifecycle, commands);
  void lifecycle.restart();
}

/** VS Code waits for this, so that no server is left behind. */
export async function deactivate(): Promise<void> {
  await lifecycle?.stop();
}
