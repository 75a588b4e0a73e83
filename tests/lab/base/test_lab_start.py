"""`runvet-lab` as a user meets it, also without the libraries of its extra."""

import subprocess
import sys


def run(*words, code="from runvet_lab.cli import main; main()"):
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)


def test_help_names_the_labs_without_importing_torch():
    code = "import sys; from runvet_lab.cli import main\ntry: main(['-h'])\nexcept SystemExit: print('torch' in sys.modules)"
    done = run(code=code)
    assert done.stdout.splitlines()[-1] == "False"
    assert "voxels" in done.stdout


def test_a_missing_library_is_one_line_with_its_command():
    code = "import sys; sys.modules['torch'] = None; sys.modules['omegaconf'] = None\nfrom runvet_lab.cli import main; main()"
    done = run("voxels", "train", "--help", code=code)
    assert done.returncode != 0
    assert "pip install 'runvet[lab]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_runvet_never_imports_the_lab():
    code = "import runvet, runvet.cli.check, sys; print([m for m in sys.modules if m.startswith('runvet_lab')])"
    assert run(code=code).stdout.strip() == "[]"


def test_python_m_is_the_same_program():
    done = subprocess.run([sys.executable, "-m", "runvet_lab", "-h"], capture_output=True, text=True, check=True)
    assert done.stdout.replace("python -m runvet_lab", "-c") == run("-h").stdout
