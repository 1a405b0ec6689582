/** The commands of the palette, and the menu of the status bar. */

import * as os from "node:os";
import * as vscode from "vscode";

import { offerInstallation } from "./install.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { statistics } from "./numbers.ts";
import type { Pages } from "./pages.ts";
import type { Model } from "./protocol.ts";
import { report } from "./report.ts";
import { changedSettings, isOff, SECTION, setting, toggle, toggleLanguage, userSetting } from "./settings.ts";
import type { StatusBar } from "./statusBar.ts";

const SNOOZE_MIN = [5, 15, 30, 60, 240];
const NO_COUNTS = { shown: 0, accepted: 0, partly: 0, dismissed: 0 };

export interface Parts {
  readonly context: vscode.ExtensionContext;
  readonly log: vscode.LogOutputChannel;
  readonly lifecycle: Lifecycle;
  readonly bar: StatusBar;
  readonly pages: Pages;
}

/** Register all commands of package.json. */
export function registerCommands(parts: Parts): vscode.Disposable {
  const { context, log, lifecycle } = parts;
  const { Global, Workspace } = vscode.ConfigurationTarget;
  const handlers: Record<string, () => unknown> = {
    toggle: () => toggle(Global),
    toggleInWorkspace: () => toggle(Workspace),
    toggleLanguage: () => toggleActiveLanguage(),
    toggleFile: () => toggleActiveFile(parts),
    snooze: () => snooze(parts),
    restart: () => lifecycle.restart(),
    install: () => offerInstallation(context, log, () => lifecycle.restart()),
    showLog: () => log.show(),
    pickModel: () => pickModel(parts),
    showStatistics: () => showStatistics(parts),
    explain: () => explain(parts),
    reportProblem: () => reportProblem(parts),
    showMenu: () => showMenu(parts),
    dismiss: () => dismiss(lifecycle),
  };
  const registered = Object.entries(handlers).map(([name, handler]) =>
    vscode.commands.registerCommand(`${SECTION}.${name}`, handler),
  );
  return vscode.Disposable.from(...registered);
}

async function toggleActiveLanguage(): Promise<void> {
  const languageId = vscode.window.activeTextEditor?.document.languageId;
  if (languageId === undefined) {
    void vscode.window.showInformationMessage("Open a file first: its language is switched on or off.");
    return;
  }
  await toggleLanguage(languageId);
}

async function toggleActiveFile({ lifecycle }: Parts): Promise<void> {
  const document = vscode.window.activeTextEditor?.document;
  if (lifecycle.session === undefined || document === undefined) {
    void vscode.window.showInformationMessage("Open a file, and wait until the server runs: the file is switched on or off.");
    return;
  }
  await lifecycle.session.toggleFile(document);
}

async function snooze({ lifecycle, bar }: Parts): Promise<void> {
  const { session } = lifecycle;
  if (session === undefined) {
    void vscode.window.showInformationMessage("The server is not running: nothing is suggested.");
    return;
  }
  const items = SNOOZE_MIN.map((minutes) => ({ label: `${minutes} minutes`, minutes }));
  if (bar.status?.snoozed_until != null) {
    items.unshift({ label: "End the snooze", minutes: 0 });
  }
  const picked = await vscode.window.showQuickPick(items, { title: "Snooze suggestions" });
  if (picked !== undefined) {
    await session.snooze(picked.minutes);
  }
}

async function dismiss(lifecycle: Lifecycle): Promise<void> {
  lifecycle.session?.ghostText.dismissed();
  await vscode.commands.executeCommand("editor.action.inlineSuggest.hide");
}

async function pickModel({ lifecycle }: Parts): Promise<void> {
  const { session } = lifecycle;
  if (session === undefined) {
    void vscode.window.showInformationMessage("The server is not running: it knows which models there are.");
    return;
  }
  const current = userSetting<string>("model");
  const automatic = { label: "auto", description: "the largest whose answers fit the budget", picked: current === "auto" };
  const items = [automatic, ...(await session.models()).map((model) => modelItem(model, current))];
  const picked = await vscode.window.showQuickPick(items, { title: "Model", placeHolder: current, matchOnDescription: true });
  if (picked !== undefined) {
    await vscode.workspace.getConfiguration(SECTION).update("model", picked.label, vscode.ConfigurationTarget.Global);
  }
}

function modelItem(model: Model, current: string): vscode.QuickPickItem {
  const place = model.pulled ? "on this machine" : "will be downloaded";
  const description = `${(model.parameters / 1e9).toFixed(1)}B, for ${model.device.toUpperCase()}, ${place}`;
  return { label: model.id, description, detail: `${model.title}, licence ${model.licence}`, picked: model.id === current };
}

async function showStatistics({ lifecycle, bar, pages }: Parts): Promise<void> {
  const { session } = lifecycle;
  if (session === undefined || bar.status === undefined) {
    void vscode.window.showInformationMessage("The server is not running: there are no statistics.");
    return;
  }
  await pages.show("Completer statistics", statistics(bar.status, await session.traces(), session.ghostText.counts), true);
}

/** Show why the last suggestion of the active document is what it is, or why there is none. */
async function explain({ lifecycle, pages }: Parts): Promise<void> {
  const { session } = lifecycle;
  const document = vscode.window.activeTextEditor?.document;
  if (session === undefined || document === undefined) {
    void vscode.window.showInformationMessage("Open a file, and wait until the server runs: there is nothing to explain yet.");
    return;
  }
  await pages.show("Completer explanation", JSON.stringify(await session.explain(document), undefined, 2), false);
}

async function reportProblem({ context, lifecycle, bar, pages }: Parts): Promise<void> {
  const { session } = lifecycle;
  const facts = {
    extension: String(context.extension.packageJSON.version),
    editor: `${vscode.env.appName} ${vscode.version}`,
    system: `${os.platform()} ${os.release()} ${os.arch()}, ${os.cpus().length} cores`,
    remote: vscode.env.remoteName,
    server: session?.client.initializeResult?.serverInfo?.version ?? "not running",
    state: bar.state,
    settings: changedSettings(context.extension),
  };
  const traces = (await session?.traces().catch(() => [])) ?? [];
  const text = report(facts, bar.status, traces, session?.ghostText.counts ?? NO_COUNTS);
  await pages.show("Completer problem report", text, false);
  await vscode.env.clipboard.writeText(text);
  void vscode.window.showInformationMessage("The report is in the clipboard. It holds no code; read it before you send it.");
}

async function showMenu({ bar }: Parts): Promise<void> {
  const languageId = vscode.window.activeTextEditor?.document.languageId;
  const enabled = setting<boolean>("enable");
  const entries: [string, string][] = [
    [enabled ? "$(circle-slash) Turn off" : "$(check) Turn on", "toggle"],
    [`${enabled ? "$(circle-slash) Turn off" : "$(check) Turn on"} in this workspace`, "toggleInWorkspace"],
    ["$(bell-slash) Snooze", "snooze"],
    ["$(file) Turn on or off for this file", "toggleFile"],
    ["$(settings) Pick the model", "pickModel"],
    ["$(graph) Show statistics", "showStatistics"],
    ["$(question) Explain the last suggestion", "explain"],
    ["$(output) Show the log", "showLog"],
    ["$(debug-restart) Restart the server", "restart"],
    ["$(report) Report a problem", "reportProblem"],
  ];
  if (languageId !== undefined) {
    entries.splice(2, 0, [`${isOff(languageId) ? "$(check) Turn on" : "$(circle-slash) Turn off"} for ${languageId}`, "toggleLanguage"]);
  }
  if (bar.state === "missing") {
    entries.unshift(["$(cloud-download) Install the server", "install"]);
  }
  const items = entries.map(([label, command]) => ({ label, command: `${SECTION}.${command}` }));
  const picked = await vscode.window.showQuickPick(items, { title: "Completer" });
  if (picked !== undefined) {
    await vscode.commands.executeCommand(picked.command);
  }
}
