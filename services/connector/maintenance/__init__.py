"""What the database needs now and then. Nothing here waits for anybody or is waited for, and no row goes that somebody still needs."""
