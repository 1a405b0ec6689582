import csv
from pathlib ⟦import Path⟧
from dataclasses import dataclass, ⟦field⟧


@dataclass
class Account:
    """⟦An account with an owner and a balance.⟧"""

    owner: str
    balance: float = 0.0
    history: list[float] = field(⟦default_factory=list⟧)

    def deposit(self, amount: float) -> None:
        ⟦self.balance += amount
        self.history.append(amount)⟧

    def withdraw(self, ⟦amount: float⟧) -> None:
        if amount > self.⟦balance⟧:
            raise ValueError("⟦not enough money⟧")
        self.balance -= ⟦amount⟧
        self.history.append(⟦-amount⟧)

    def largest(self) -> float:
        return max(self.history, ⟦key=abs⟧)


def load_accounts(path: Path) -> dict[str, Account]:
    accounts = {}
    with open(path, newline="") as ⟦handle:⟧
        for row in csv.DictReader(⟦handle⟧):
            owner = row["⟦owner⟧"]
            accounts[⟦owner⟧] = Account(owner, float(⟦row["balance"]⟧))
    return ⟦accounts⟧


def total(accounts: dict[str, Account]) -> float:
    # sum of all ⟦balances⟧
    ⟦return sum(account.balance for account in accounts.values())⟧
