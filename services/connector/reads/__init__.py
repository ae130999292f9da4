"""The read log: who opened which conversation and order, took which file, and searched. Ids and counts only; nothing here ever opens what
was read.
"""
