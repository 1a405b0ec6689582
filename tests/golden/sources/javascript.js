import { readFile } from "⟦node:fs/promises⟧";

export class Cache {
  constructor(limit) {
    this.limit = ⟦limit⟧;
    this.entries = new ⟦Map()⟧;
  }

  get(key) {
    const entry = this.entries.get(⟦key⟧);
    if (entry === undefined) {
      ⟦return undefined;⟧
    }
    this.entries.delete(key);
    this.entries.set(⟦key, entry⟧);
    return entry.⟦value⟧;
  }

  set(key, value) {⟦
    this.entries.set(key, { value });
  ⟧}
}

export async function loadConfig(path) {
  const text = await readFile(path, ⟦"utf8"⟧);
  const config = JSON.parse(⟦text⟧);
  return Object.keys(config).map((key) => ⟦config[key]⟧);
}

const names = ["ann", "bob"].filter((name) => name.⟦length > 2⟧).map(⟦(name) => name.toUpperCase()⟧);
console.log(`hello ${⟦names[0]⟧}`);
