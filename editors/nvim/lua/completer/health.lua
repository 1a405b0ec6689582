--- `:checkhealth completer`
local client = require("completer.client")
local commands = require("completer.commands")
local config = require("completer.config")
local program = require("completer.program")

local M = {}

local health = vim.health

local function check_editor()
  local version = tostring(vim.version())
  if vim.fn.has("nvim-0.10") == 0 then
    return health.error("Neovim " .. version .. " is too old", "Install Neovim 0.10 or later")
  end
  health.ok("Neovim " .. version)
end

local function check_program()
  local cmd = config.current.cmd
  if type(cmd) ~= "table" then
    return health.info("the server is reached by a function of yours")
  end
  local problem = client.problem()
  if problem then
    return health.error(problem, "Name the program in setup{ cmd = { '/path/to/completer', 'lsp' } }")
  end
  local cwd
  cmd, cwd = program.resolve(cmd)
  local ask = { cmd[1] } -- `python -P -m completer lsp` is a command, too
  while cmd[#ask + 1] and cmd[#ask + 1] ~= "lsp" do
    table.insert(ask, cmd[#ask + 1])
  end
  local done = vim.system(vim.list_extend(ask, { "--version" }), { cwd = cwd, text = true, timeout = 10000 }):wait()
  local say = done.code == 0 and health.ok or health.error
  say(("%s: %s"):format(cmd[1], vim.trim(done.stdout .. done.stderr)))
end

local function check_server()
  local running = client.all()[1]
  if not running then
    return health.warn("the server is not running", "Open a file of a wanted filetype, or look into :Completer log")
  end
  local status = commands.ask("completer/status")
  if not status then
    return health.error("the server does not answer", "Try :Completer restart, look into :Completer log")
  end
  local say = status.state == "error" and health.error or status.state == "ready" and health.ok or health.info
  for _, line in ipairs(commands.status_lines(status)) do
    say(line)
  end
  health.info("positions count in " .. running.offset_encoding)
end

local function check_conflicts()
  local inline = vim.lsp.inline_completion
  if inline and inline.is_enabled and inline.is_enabled() then
    health.warn("vim.lsp.inline_completion is enabled, too: suggestions are drawn twice", "vim.lsp.inline_completion.enable(false)")
  end
  for name, key in pairs(config.current.keys or {}) do
    local mapping = key and vim.fn.maparg(key, "i", false, true) or {}
    if key and not vim.startswith(mapping.desc or "", "completer: ") then
      local what = mapping.lhs and "is mapped by something else" or "is not mapped"
      health.info(("key %s (%s) %s here"):format(key, name, what))
    end
  end
end

function M.check()
  health.start("completer: editor")
  check_editor()
  health.start("completer: server")
  check_program()
  check_server()
  health.start("completer: other plugins and keys")
  check_conflicts()
end

return M
