"""One SMTP conversation with one client: which reply each command gets, and when the conversation ends.

No mail is answered 250 before `intake` has committed it, and nothing about sender, recipient or content reaches a log.

The objects of a session, from the socket inwards:

    RelaySession (protocol)       the connection: PROXY header, timer, handshake, end; one a connection
      SessionState                who the client is, how far the session has come, when its time limit ends
        Trace (trace)             the commands and replies, kept for a postmaster's question
        ClientQuota (limits)      what this client may still use of the process's Limits
      ClientReader (reader)       bytes in: command lines, and the text of a mail
      ReplyWriter (reply_writer)  replies out, gathered while the client pipelines
      Dialogue (dialogue)         command in, reply out; counts both against the quota
        Transaction               one mail, from MAIL to the reply to its last line
          DataReader              the text after DATA: where it ends, and whether it is too large

    RelayContext (context)        what all sessions of a process share: settings, limits, and the rooms of `intake`
"""
