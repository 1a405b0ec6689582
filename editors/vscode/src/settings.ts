/** The settings: those of the extension itself, and those that go to the server as they are. */

import * as vscode from "vscode";

export const SECTION = "completer";

/** Return the value of one of our settings, as it holds in this window. */
export function setting<T>(name: string): T {
  return vscode.workspace.getConfiguration(SECTION).get(name) as T;
}

/** Return the server's settings. Which they are is written in package.json alone: the section with the id "server". */
export function serverSettings(extension: vscode.Extension<unknown>): Record<string, unknown> {
  const sections = extension.packageJSON.contributes.configuration as { id?: string; properties: object }[];
  const server = sections.find((section) => section.id === "server");
  const names = Object.keys(server?.properties ?? {}).map((key) => key.slice(SECTION.length + 1));
  return Object.fromEntries(names.map((name) => [name, setting(name)]));
}

/** Return those of the server's settings that differ from their defaults. */
export function changedSettings(extension: vscode.Extension<unknown>): Record<string, unknown> {
  const section = vscode.workspace.getConfiguration(SECTION);
  const changed = Object.entries(serverSettings(extension)).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(section.inspect(name)?.defaultValue),
  );
  return Object.fromEntries(changed);
}

/** Whether suggestions while typing are switched off in a language. */
export function isOff(languageId: string): boolean {
  return setting<string[]>("disabled_languages").includes(languageId);
}

/** Switch suggestions on or off, for the user everywhere or for the workspace alone. */
export async function toggle(target: vscode.ConfigurationTarget): Promise<void> {
  await vscode.workspace.getConfiguration(SECTION).update("enable", !setting<boolean>("enable"), target);
}

/** Switch a language on or off; in the workspace's settings where those name languages, else in the user's. */
export async function toggleLanguage(languageId: string): Promise<void> {
  const section = vscode.workspace.getConfiguration(SECTION);
  const languages = setting<string[]>("disabled_languages");
  const inWorkspace = section.inspect("disabled_languages")?.workspaceValue !== undefined;
  const target = inWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
  const without = languages.filter((id) => id !== languageId);
  const wanted = without.length === languages.length ? [...languages, languageId] : without;
  await section.update("disabled_languages", wanted, target);
}
