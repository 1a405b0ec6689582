-- Loaded at start: the command, and ghost text for clients that the user starts without `setup`.
if vim.g.loaded_completer then
  return
end
vim.g.loaded_completer = true

vim.api.nvim_create_user_command("Completer", function(command)
  require("completer.commands").run(command.fargs)
end, {
  nargs = "+",
  desc = "completer: status, on, off, toggle, snooze, explain, next, restart, stats, log",
  complete = function(_, line)
    return require("completer.commands").complete(line)
  end,
})

vim.api.nvim_create_autocmd("LspAttach", {
  group = vim.api.nvim_create_augroup("completer_attach", { clear = true }),
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == "completer" then
      require("completer").enable()
    end
  end,
})
