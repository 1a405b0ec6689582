;;; What a user does in Emacs with lsp-mode, as a script: open a file, wait for the server, complete at the end of the buffer.
;; Arguments after "--": the file with the user's configuration, the file to edit. Prints one line of JSON for each step.

(require 'json)
(setq native-comp-enable-subr-trampolines nil ; the unpacked Emacs has no compiler beside it
      native-comp-jit-compilation nil)

(defun drive-say (step &rest fields)
  (princ (concat (json-encode (cons (cons 'step step) fields)) "\n")))

(defun drive-wait (seconds done)
  "Wait until DONE returns non-nil; fail after SECONDS."
  (let ((deadline (+ (float-time) seconds)) value)
    (while (not (setq value (funcall done)))
      (when (> (float-time) deadline) (error "Waited for %s s in vain" seconds))
      (accept-process-output nil 0.05))
    value))

(defun drive-state ()
  (let ((status (lsp-request "completer/status" nil)))
    (if (hash-table-p status) (gethash "state" status) (plist-get status :state))))

(defun drive-complete (name)
  "Complete at point as a key would; say what the buffer holds afterwards."
  (completion-at-point)
  (drive-say name (cons 'text (buffer-substring-no-properties (point-min) (point-max))) (cons 'point (point))))

(let* ((arguments (cdr (member "--" command-line-args)))
       (file (cadr arguments)))
  (setq command-line-args-left nil)
  ;; What the package manager does when Emacs starts.
  (dolist (folder load-path)
    (dolist (autoloads (directory-files folder t "-autoloads\\.el\\'"))
      (load autoloads nil t)))
  (load (car arguments))
  (setq lsp-auto-guess-root t
        lsp-enable-suggest-server-download nil
        lsp-warn-no-matched-clients nil
        make-backup-files nil)
  (lsp-workspace-folders-add (file-name-directory file))
  (find-file file)
  (lsp)
  (drive-wait 30 (lambda () (and (lsp-workspaces) (eq 'initialized (lsp--workspace-status (car (lsp-workspaces)))))))
  (drive-say "capabilities"
             (cons 'completion (if (lsp-feature? "textDocument/completion") t :json-false))
             (cons 'inline (if (lsp-feature? "textDocument/inlineCompletion") t :json-false)))
  (drive-wait 120 (lambda () (member (drive-state) '("ready" "error"))))
  (drive-say "ready" (cons 'state (drive-state)))
  (goto-char (point-max))
  (drive-complete "completed")
  (undo-boundary)
  (goto-char (point-max))
  (insert "\n\n\ndef other(values: list[int]) -> int:\n    return sum(va")
  (drive-complete "completed in the middle of a word")
  (set-buffer-modified-p nil)
  (kill-emacs 0))
