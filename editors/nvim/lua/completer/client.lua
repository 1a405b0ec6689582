--- The language server's side: starting it, and messages to it. Hides what differs between Neovim 0.10, 0.11 and 0.12.
local config = require("completer.config")
local program = require("completer.program")
local text = require("completer.text")

local M = {}

M.NAME = "completer"
M.INLINE_COMPLETION = "textDocument/inlineCompletion"
M.INVOKED, M.AUTOMATIC = 1, 2

--- Whether the server ended by itself; it is not started again before the user wants it.
M.failed = false

--- How long a server may take to end when it is restarted.
local STOP_MS = 5000

local HAS_METHODS = vim.fn.has("nvim-0.11") == 1

---@param client vim.lsp.Client
---@param name string  of a method, which was a plain function before 0.11
local function call(client, name, ...)
  if HAS_METHODS then
    return client[name](client, ...)
  end
  return client[name](...)
end

--- Return client capabilities that name inline completion, so that the server offers it and no list in its place, changes
--- of documents with their versions, which Neovim checks but does not name, and that the server's status is wanted.
---@return lsp.ClientCapabilities
function M.capabilities()
  local capabilities = vim.lsp.protocol.make_client_capabilities()
  capabilities.textDocument.inlineCompletion = { dynamicRegistration = false }
  capabilities.workspace.workspaceEdit.documentChanges = true
  capabilities.experimental = vim.tbl_extend("force", capabilities.experimental or {}, { completerStatus = true })
  return capabilities
end

--- What the server finds in its environment: settings that come with it are the user's. A server that others start, such
--- as one that is reached over TCP, does not know it and takes no program, file or endpoint from us.
local client_key

---@return string
local function key()
  client_key = client_key or vim.uv.random(32):gsub(".", function(char)
    return ("%02x"):format(char:byte())
  end)
  return client_key
end

--- Put what `setup` was given into the options of `initialize`, marked as the user's.
---
--- Only now, and in place of what is there under the same names: plugins merge a project's settings files into `settings`
--- and `init_options`, and a project must not be able to put its own beside the key. Mutates: params.
---@param params lsp.InitializeParams
function M.mark_settings(params)
  local options = params.initializationOptions or {}
  local settings = config.current.settings
  options.completer = vim.tbl_extend("force", options.completer or {}, {
    userSettings = vim.tbl_isempty(settings) and vim.empty_dict() or settings,
    clientKey = key(),
  })
  params.initializationOptions = options
end

--- Return the configuration of the client, for `vim.lsp.start` or `vim.lsp.config`.
---@return vim.lsp.ClientConfig
function M.config()
  local cmd, cmd_cwd = config.current.cmd, nil
  if type(cmd) == "table" then
    cmd, cmd_cwd = program.resolve(cmd)
  end
  return {
    name = M.NAME,
    cmd = cmd,
    cmd_cwd = cmd_cwd, -- else it would be Neovim's own: the workspace
    cmd_env = { COMPLETER_CLIENT_KEY = key() },
    capabilities = M.capabilities(),
    before_init = M.mark_settings,
    on_attach = M.add_root,
    on_exit = function(code)
      M.failed = code ~= 0 -- Neovim itself says so, and names its log
    end,
  }
end

---@param buf integer
---@return string?
local function root_of(buf)
  return vim.fs.root(buf, ".git")
end

--- Tell the server of a buffer's repository, which may be another than that of the buffers before: context comes from it.
--- Mutates: the client's folders.
---@param client vim.lsp.Client
---@param buf integer
function M.add_root(client, buf)
  local root = root_of(buf)
  local uri = root and vim.uri_from_fname(root)
  local known = client.workspace_folders or {}
  local is_new = uri and not vim.iter(known):any(function(folder)
    return folder.uri == uri
  end)
  if is_new then
    local folder = { uri = uri, name = root }
    client.workspace_folders = vim.list_extend({ folder }, known)
    call(client, "notify", "workspace/didChangeWorkspaceFolders", { event = { added = { folder }, removed = {} } })
  end
end

--- Return why the server cannot be started, and how to mend it; nil when nothing speaks against it.
---@return string?
function M.problem()
  local cmd = config.current.cmd
  return type(cmd) == "table" and program.problem(cmd) or nil
end

--- Whether a client is there already that serves what a configuration wants: one model in memory is enough.
---@param client vim.lsp.Client
---@param wanted vim.lsp.ClientConfig
---@return boolean
function M.serves(client, wanted)
  return client.name == wanted.name and not call(client, "is_stopped")
end

local said = {}

--- Start the server, one for all buffers, and attach it to a buffer. What speaks against it is said once.
---@param buf integer
function M.start(buf)
  if M.failed or M.of(buf) or not config.wants(buf) then
    return
  end
  local problem = M.problem()
  if problem then
    if not said[problem] then
      said[problem] = true
      vim.schedule(function() -- within an autocommand it would be silent
        vim.notify(problem, vim.log.levels.WARN)
      end)
    end
    return
  end
  vim.lsp.start(vim.tbl_extend("force", M.config(), { root_dir = root_of(buf) }), {
    bufnr = buf,
    reuse_client = M.serves,
  })
end

--- Return the client that completes a buffer, whoever started it.
---@param buf integer
---@return vim.lsp.Client?
function M.of(buf)
  return vim.lsp.get_clients({ bufnr = buf, name = M.NAME })[1]
end

--- Return all our clients.
---@return vim.lsp.Client[]
function M.all()
  return vim.lsp.get_clients({ name = M.NAME })
end

---@param client vim.lsp.Client
---@param place completer.Place
---@return lsp.Position
function M.position(client, place)
  return { line = place.row, character = text.n_units(place.line:sub(1, place.col), client.offset_encoding) }
end

--- Send a request; changes that are not sent yet go first. Return a function that cancels it; nil when it was not sent.
---
--- on_answer: called at most once, and never after cancelling, with the result or with nil where there was an error.
---@param client vim.lsp.Client
---@param method string
---@param params table?
---@param buf integer
---@param on_answer fun(result: any, error: table?)
---@return fun()? cancel
function M.request(client, method, params, buf, on_answer)
  local over = false
  local sent, id = call(client, "request", method, params, function(error, result)
    if not over then
      over = true
      on_answer(not error and result or nil, error)
    end
  end, buf)
  if not sent then
    return nil
  end
  return function()
    if not over then
      over = true
      call(client, "cancel_request", id)
    end
  end
end

--- Ask for suggestions at a place.
---@param client vim.lsp.Client
---@param place completer.Place
---@param trigger_kind integer  INVOKED or AUTOMATIC
---@param on_answer fun(items: table[])  lsp.InlineCompletionItem
---@return fun()? cancel
function M.ask(client, place, trigger_kind, on_answer)
  local params = {
    textDocument = { uri = vim.uri_from_bufnr(place.buf) },
    position = M.position(client, place),
    context = { triggerKind = trigger_kind },
  }
  return M.request(client, M.INLINE_COMPLETION, params, place.buf, function(result)
    on_answer(result and result.items or result or {})
  end)
end

--- Tell the server something about a buffer: `completer/NAME`. Does nothing where no client completes it.
---@param buf integer
---@param name string
---@param fields table<string, any>
function M.tell(buf, name, fields)
  local client = M.of(buf)
  if client then
    local params = vim.tbl_extend("error", { textDocument = { uri = vim.uri_from_bufnr(buf) } }, fields)
    call(client, "notify", "completer/" .. name, params)
  end
end

--- Return the version of a buffer that the server knows; nil before it was opened.
---@param buf integer
---@return integer?
function M.version(buf)
  return vim.lsp.util.buf_versions[buf]
end

--- Call `done` when none of the clients runs any more. One that takes too long is ended by force.
---@param clients vim.lsp.Client[]
---@param done fun()
local function when_stopped(clients, done)
  local deadline = vim.uv.now() + STOP_MS
  local function look()
    local running = vim.tbl_filter(function(client)
      return vim.lsp.get_client_by_id(client.id) ~= nil
    end, clients)
    if #running > 0 and vim.uv.now() < deadline then
      return vim.defer_fn(look, 20)
    end
    for _, client in ipairs(running) do
      call(client, "stop", true)
    end
    done()
  end
  look()
end

--- Stop all our clients, and start them again for the buffers that they had, as `setup` says or as they were started.
function M.restart()
  M.failed = false
  local clients, configs = M.all(), {} ---@type table<integer, vim.lsp.ClientConfig>
  for _, client in ipairs(clients) do
    for buf in pairs(client.attached_buffers) do
      configs[buf] = client.config
    end
    call(client, "stop")
  end
  when_stopped(clients, function()
    for buf, started in pairs(configs) do
      if vim.api.nvim_buf_is_valid(buf) and not config.current.autostart then
        vim.lsp.start(started, { bufnr = buf })
      elseif vim.api.nvim_buf_is_valid(buf) then
        M.start(buf)
      end
    end
    if vim.tbl_isempty(configs) then
      M.start(vim.api.nvim_get_current_buf())
    end
  end)
end

return M
