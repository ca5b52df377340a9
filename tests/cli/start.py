"""The command in a process of its own."""

from dispatch.cli import main

if __name__ == "__main__":
    main()
