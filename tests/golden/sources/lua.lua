local Vector = {}
Vector.__index = ⟦Vector⟧

function Vector.new(x, y)
  return setmetatable(⟦{ x = x, y = y }⟧, Vector)
end

function Vector:add(other)
  ⟦return Vector.new(self.x + other.x, self.y + other.y)⟧
end

function Vector:length()
  return math.sqrt(⟦self.x * self.x + self.y * self.y⟧)
end

local list = {}
for i = 1, ⟦10⟧ do
  table.insert(list, ⟦Vector.new(i, i)⟧)
end

for _, vector in ipairs(⟦list⟧) do
  print(vector:⟦length()⟧)
end

return ⟦Vector⟧
