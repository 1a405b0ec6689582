/** The item in the status bar. A click opens the menu. */

import * as vscode from "vscode";

import type { Status } from "./protocol.ts";
import { look, type State } from "./status.ts";

export class StatusBar implements vscode.Disposable {
  readonly #item: vscode.StatusBarItem;
  #state: State = "off";
  #status: Status | undefined;

  constructor() {
    this.#item = vscode.window.createStatusBarItem("completer.status", vscode.StatusBarAlignment.Right, 100);
    this.#item.name = "Completer";
    this.#item.command = "completer.showMenu";
    this.#draw();
    this.#item.show();
  }

  dispose(): void {
    this.#item.dispose();
  }

  get state(): State {
    return this.#state;
  }

  get status(): Status | undefined {
    return this.#status;
  }

  show(state: State, status?: Status): void {
    this.#state = state;
    this.#status = status;
    this.#draw();
  }

  #draw(): void {
    const { text, severity, tooltip } = look(this.#state, this.#status);
    this.#item.text = text;
    this.#item.tooltip = new vscode.MarkdownString(tooltip);
    const colour = { none: undefined, warning: "statusBarItem.warningBackground", error: "statusBarItem.errorBackground" };
    const name = colour[severity];
    this.#item.backgroundColor = name === undefined ? undefined : new vscode.ThemeColor(name);
  }
}
