"""In place of the hook that collects all of torch: only what `import torch` reaches, without headers, tests and tools."""

from pathlib import Path

from PyInstaller.utils.hooks import collect_dynamic_libs, get_package_paths

# Sources too: some of torch's own decorators read them when it is imported.
module_collection_mode = "pyz+py"
_UNUSED = ("_test.so", "libaoti_custom_ops", "libbackend_with_compiler", "libtorchbind_test", "libjitbackend_test")
binaries = [(file, folder) for file, folder in collect_dynamic_libs("torch") if not any(name in file for name in _UNUSED)]
# torch looks for this program when it is imported, and refuses to go on without it.
binaries += [(str(Path(get_package_paths("torch")[1]) / "bin" / "torch_shm_manager"), "torch/bin")]
