--- Keys in insert mode. A key that has nothing to do is what it was before: the mapping there was, or the plain key.
local config = require("completer.config")
local session = require("completer.session")
local text = require("completer.text")

local M = {}

--- What each name in `keys` does; each returns whether there was anything to do.
M.actions = {
  accept = function()
    return session.accept(function(rest)
      return rest
    end)
  end,
  accept_word = function()
    return session.accept(text.first_word)
  end,
  accept_line = function()
    return session.accept(text.first_line)
  end,
  next = function()
    session.cycle(1)
  end,
  previous = function()
    session.cycle(-1)
  end,
  dismiss = session.dismiss,
  trigger = session.trigger,
}

--- Actions that work without a visible suggestion, too.
local ALWAYS = { trigger = true }

local installed = {} ---@type table<string, string>  key -> name of the action

--- Whether a completion menu is open, whose key Tab is: the editor's own, blink.cmp's or nvim-cmp's.
---@return boolean
function M.menu_visible()
  if vim.fn.pumvisible() == 1 then
    return true
  end
  local blink, cmp = package.loaded["blink.cmp"], package.loaded["cmp"]
  if type(blink) == "table" and blink.is_menu_visible and blink.is_menu_visible() then
    return true
  end
  return type(cmp) == "table" and cmp.visible ~= nil and cmp.visible() or false
end

--- Whether a snippet waits for its next place to be filled in.
---@return boolean
local function in_snippet()
  local luasnip = package.loaded["luasnip"]
  if type(luasnip) == "table" and luasnip.locally_jumpable and luasnip.locally_jumpable(1) then
    return true
  end
  return vim.snippet.active({ direction = 1 })
end

---@param key string
---@return string
local function fallback_name(key)
  return "<Plug>(completer-plain-" .. key:gsub("[<>]", "") .. ")"
end

--- Return what the key stands for now; called while the key is mapped, when text must not change yet.
---@param key string
---@param name string
---@return string
local function resolve(key, name)
  local yields = name == "accept" and (M.menu_visible() or in_snippet())
  if not yields and (ALWAYS[name] or session.visible()) then
    return ("<Cmd>lua require('completer.keys').actions.%s()<CR>"):format(name)
  end
  if name == "accept" and not M.menu_visible() and vim.snippet.active({ direction = 1 }) then
    return "<Cmd>lua vim.snippet.jump(1)<CR>"
  end
  return fallback_name(key)
end

--- Give the mapping that a key has a name, so that it can be fallen back to; without one the name is the plain key.
---@param key string
local function keep_mapping(key)
  local name = fallback_name(key)
  local before = vim.fn.maparg(key, "i", false, true)
  if vim.tbl_isempty(before) or before.buffer == 1 then
    vim.keymap.set("i", name, key, { remap = false })
    return
  end
  before.lhs = name
  before.lhsraw = vim.api.nvim_replace_termcodes(name, true, true, true)
  before.lhsrawalt = nil
  vim.fn.mapset("i", false, before)
end

--- Map the keys of the configuration. Keys mapped by a call before are free again.
function M.install()
  M.remove()
  for name, key in pairs(config.current.keys or {}) do
    if key then
      keep_mapping(key)
      vim.keymap.set("i", key, function()
        return resolve(key, name)
      end, { expr = true, remap = true, silent = true, desc = "completer: " .. name:gsub("_", " ") })
      installed[key] = name
    end
  end
end

--- Give the keys back to what they were.
function M.remove()
  for key in pairs(installed) do
    local name = fallback_name(key)
    local before = vim.fn.maparg(name, "i", false, true)
    vim.keymap.del("i", key)
    if before.rhs ~= key then
      before.lhs = key
      before.lhsraw = vim.api.nvim_replace_termcodes(key, true, true, true)
      vim.fn.mapset("i", false, before)
    end
    vim.keymap.del("i", name)
  end
  installed = {}
end

return M
