"""The only code that talks to Amazon: Login with Amazon (`lwa`), the thin SP-API client (`client`) and its operations."""
