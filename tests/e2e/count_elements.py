# Counts the elements in the database of a dataset's archive.
import sqlite3
import sys

print(sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM elements").fetchone()[0])
