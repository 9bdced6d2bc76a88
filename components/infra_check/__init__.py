"""The exact folder to be pushed, served and asked over sockets before anything is pushed."""
