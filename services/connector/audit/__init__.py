"""The audit log as administrators read it: who did what, and when. Nothing here ever changes or deletes an entry."""
