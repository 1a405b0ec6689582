import React, { useState, ⟦useEffect⟧ } from "react";

interface User {
  id: number;
  ⟦name: string;⟧
}

type Props = { users: ⟦User[]⟧; onSelect: (user: User) => ⟦void⟧ };

export function UserList({ users, ⟦onSelect⟧ }: Props) {
  const [filter, setFilter] = useState<string>(⟦""⟧);
  const visible = users.filter((user) => ⟦user.name.includes(filter)⟧);

  useEffect(() => {
    ⟦document.title = `${visible.length} users`;⟧
  }, [visible]);

  return (
    <div className="⟦list⟧">
      <input value={filter} onChange={(event) => ⟦setFilter(event.target.value)⟧} />
      <ul>
        {visible.map((user) => (
          <li key={⟦user.id⟧} onClick={() => onSelect(⟦user⟧)}>{user.⟦name⟧}</li>
        ))}
      </ul>
    </div>
  );
}
