"""Reads a mail (a file) with Python's email library and prints what a person and a program find in it, as JSON."""

import email
import email.policy
import json
import sys

with open(sys.argv[1], "rb") as file:
    message = email.message_from_binary_file(file, policy=email.policy.default)

defects = [str(defect) for part in message.walk() for defect in part.defects]
text = message.get_body(("plain",))
html = message.get_body(("html",))
attachments = list(message.iter_attachments())
print(
    json.dumps(
        {
            "defects": defects,
            "names": sorted(message.keys()),
            "from": [str(address.addr_spec) for address in message["From"].addresses],
            "to": [str(address.addr_spec) for address in message["To"].addresses],
            "subject": message["Subject"],
            "date": message["Date"].datetime.isoformat(),
            "type": message.get_content_type(),
            "text": text.get_content(),
            "html": html.get_content(),
            "longest_line": max(len(line) for line in message.as_bytes().splitlines()),
            "attachments": [
                {
                    "name": part.get_filename(),
                    "type": part.get_content_type(),
                    "disposition": part.get_content_disposition(),
                    "content": part.get_payload(decode=True).decode(),
                }
                for part in attachments
            ],
        }
    )
)
