interface Item {
  id: string;
  name: string;
  price: number;
  quantity: number;
}

export class Cart {
  private items = new Map<string, Item>();

  constructor(private readonly taxRate: number) {}

  add(item: Item): void {
    const existing = this.items.get(item.id);
    if (existing) {
      existing.quantity += item.quantity;
    } else {
      this.items.set(item.id, { ...item });
    }
  }

  remove(id: string): boolean {
    return this.items.del«|»
  }

  subtotal(): number {
    let sum = 0;
    for (const item of this.items.values()) {
      sum += item.price * item.quantity;
    }
    return sum;
  }

  total(): number {
    return this.subtotal() * (1 + this.taxRate);
  }
}
