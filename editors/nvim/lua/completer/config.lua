--- The options of `setup`, their defaults, and what is wrong with options that don't fit.
local M = {}

---@class completer.Keys
---@field accept string|false        take the whole suggestion
---@field accept_word string|false   take its next word
---@field accept_line string|false   take it up to the end of the line
---@field next string|false          the next alternative, where the server has several
---@field previous string|false      the one before
---@field dismiss string|false       send it away
---@field trigger string|false       ask, also where nothing is suggested while typing

---@class completer.Config
---@field cmd string[]|fun(...): table  the server's command, or a function as in `vim.lsp.rpc.connect`
---@field settings table<string, any>   the server's settings, see docs/reference/settings.md
---@field autostart boolean             start the server; false: attach to clients named "completer" that others start
---@field filetypes table<string, boolean>  in which filetypes to suggest; "*" is all others
---@field ignore string[]               Lua patterns of file names whose text never goes to the server
---@field keys completer.Keys|false     false: no keys; every key can be false by itself
M.defaults = {
  cmd = { "completer", "lsp" },
  settings = {},
  autostart = true,
  filetypes = { ["*"] = true, help = false, gitrebase = false },
  -- Secrets stay out of the prompt, and so out of a remote engine.
  ignore = { "^%.env", "%.pem$", "%.key$", "^id_%a+$", "^%.netrc$", "^%.?credentials" },
  keys = {
    accept = "<Tab>",
    accept_word = "<M-Right>",
    accept_line = "<M-End>",
    next = "<M-]>",
    previous = "<M-[>",
    dismiss = "<C-]>",
    trigger = "<M-\\>",
  },
}

local TYPES = {
  cmd = { "table", "function" },
  settings = { "table" },
  autostart = { "boolean" },
  filetypes = { "table" },
  ignore = { "table" },
  keys = { "table", "boolean" },
}

---@type completer.Config
M.current = vim.deepcopy(M.defaults)

---@param known table<string, any>
---@param name string
---@return string
local function names_of(known, name)
  local names = vim.tbl_keys(known)
  table.sort(names)
  return ("completer: there is no option %q: write one of %s"):format(name, table.concat(names, ", "))
end

--- Check options as a user wrote them.
---@param options table<string, any>
---@return string? problem  one line that says how to mend it
function M.problem(options)
  for name, value in pairs(options) do
    local types = TYPES[name]
    if not types then
      return names_of(M.defaults, name)
    end
    if not vim.tbl_contains(types, type(value)) then
      return ("completer: option %q is a %s: write a %s"):format(name, type(value), table.concat(types, " or "))
    end
  end
  for name, key in pairs(type(options.keys) == "table" and options.keys or {}) do
    if not M.defaults.keys[name] then
      return names_of(M.defaults.keys, "keys." .. name)
    end
    if key ~= false and type(key) ~= "string" then
      return ("completer: option keys.%s is a %s: write a key or false"):format(name, type(key))
    end
  end
end

--- Make `options`, over the defaults, the current ones. An error is raised where they don't fit.
---@param options table<string, any>?
---@return completer.Config
function M.set(options)
  options = options or {}
  local problem = M.problem(options)
  if problem then
    error(problem, 0)
  end
  M.current = vim.tbl_deep_extend("force", vim.deepcopy(M.defaults), options)
  M.current.cmd = options.cmd or vim.deepcopy(M.defaults.cmd)
  M.current.ignore = options.ignore or vim.deepcopy(M.defaults.ignore)
  return M.current
end

--- Whether the server may see the buffer: a file of the user's, of a wanted filetype, and no secret.
---@param buf integer
---@return boolean
function M.wants(buf)
  local name = vim.fs.basename(vim.api.nvim_buf_get_name(buf))
  local filetypes, filetype = M.current.filetypes, vim.bo[buf].filetype
  local wanted = filetypes[filetype]
  if wanted == nil then
    wanted = filetypes["*"]
  end
  if not wanted or vim.bo[buf].buftype ~= "" or name == "" then
    return false
  end
  return not vim.iter(M.current.ignore):any(function(pattern)
    return name:find(pattern) ~= nil
  end)
end

--- Return why suggestions are off in a buffer, in the words of the server's reasons; nil where they are on.
---@param buf integer
---@return string?
function M.reason(buf)
  local everywhere = vim.g.completer_enabled == false and "off: switched off" or nil
  return everywhere or (vim.b[buf].completer_enabled == false and "off: switched off for this file" or nil)
end

--- Whether suggestions are on in a buffer: `vim.g.completer_enabled` and `vim.b.completer_enabled`, on where unset.
---@param buf integer
---@return boolean
function M.enabled(buf)
  return M.reason(buf) == nil
end

return M
