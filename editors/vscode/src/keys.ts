/** Tells keys from moves of the cursor: a key asks for a suggestion at once, a move lets the server prepare its place. */

import * as vscode from "vscode";

import { isBehind, type Typed } from "./typed.ts";

const REST_MS = 50;

export interface Listener {
  typed(document: vscode.TextDocument, position: vscode.Position): void;
  moved(document: vscode.TextDocument, position: vscode.Position): void;
}

/** Watches all editors until it is disposed. A key is one change of text followed by the move of the cursor behind it. */
export class Keys implements vscode.Disposable {
  readonly #listener: Listener;
  readonly #disposables: vscode.Disposable[];
  #typed: (Typed & { readonly document: vscode.TextDocument }) | undefined;
  #resting: NodeJS.Timeout | undefined;

  constructor(listener: Listener) {
    this.#listener = listener;
    this.#disposables = [
      vscode.workspace.onDidChangeTextDocument((event) => this.#changed(event)),
      vscode.window.onDidChangeTextEditorSelection((event) => this.#selected(event.textEditor)),
      vscode.window.onDidChangeActiveTextEditor((editor) => editor && this.#selected(editor)),
    ];
  }

  dispose(): void {
    clearTimeout(this.#resting);
    vscode.Disposable.from(...this.#disposables).dispose();
  }

  /** Undo, redo and edits in several places are no keys. */
  #changed(event: vscode.TextDocumentChangeEvent): void {
    const { document, contentChanges, reason } = event;
    const [change] = contentChanges;
    if (change === undefined) {
      return; // it was saved, or its language was changed
    }
    const start = change.rangeOffset;
    const typed = { document, version: document.version, start, end: start + change.text.length };
    this.#typed = reason === undefined && contentChanges.length === 1 ? typed : undefined;
  }

  #selected(editor: vscode.TextEditor): void {
    clearTimeout(this.#resting);
    const { document, selection } = editor;
    if (editor !== vscode.window.activeTextEditor || editor.selections.length !== 1 || !selection.isEmpty) {
      return;
    }
    const typed = this.#typed;
    const cursor = document.offsetAt(selection.active);
    if (typed?.document === document && isBehind(typed, document.version, cursor)) {
      this.#typed = undefined;
      this.#listener.typed(document, selection.active);
    } else {
      this.#resting = setTimeout(() => this.#listener.moved(document, selection.active), REST_MS);
    }
  }
}
