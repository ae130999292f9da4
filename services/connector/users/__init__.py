"""The people of an account: who is invited, what each may do, and what becomes of whoever leaves. The account always keeps somebody who
may change this.
"""
