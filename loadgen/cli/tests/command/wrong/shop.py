"""A contestant in another language: the shop's contract in one process and in memory, honest, or wrong in one way.

python3 shop.py --port N --provider URL --journal PATH [--wrong NAME]

It keeps nothing on a disk: it is here to be judged, not measured. `--wrong list` prints the ways to be wrong.
"""

import argparse
import hashlib
import hmac
import http.client
import json
import os
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

WAYS = {
    "loses": "forgets an order that it has acknowledged",
    "doubles": "has some orders twice",
    "charges-twice": "charges again what is charged (shows itself at a network that knows no keys)",
    "charges-nobody": "says paid and never asks the network",
    "declines-alone": "says declined and never asks the network",
    "voids-alone": "has the network void what nobody has cancelled, and says declined",
    "tells-early": "says paid before it asks the network",
    "settles-early": "stamps the settlement when the order comes",
    "charges-early": "charges keys that will come before they come",
    "charges-strangers": "charges keys that nobody asks for",
    "invents-reference": "makes charge ids of its own",
    "forgets-time": "says paid, and not since when",
    "creates-late": "stamps the acceptance ten seconds later than it was",
    "answers-another": "answers with the order before",
    "tells-another-id": "acknowledges with an id that the order does not have",
    "changes-ids": "shows an order under another id than it was acknowledged with",
    "refuses-owner": "does not let customers see their orders",
    "denies": "knows no order when customers look",
    "flips": "shows a paid order as pending",
    "adds-a-cent": "acknowledges a cent more than was asked for",
    "charges-a-cent-more": "charges a cent more than was asked for",
    "fails-but-does": "refuses as without effect, and charges",
    "errs-but-does": "answers with an error, and charges (legal)",
    "never-settles": "accepts and leaves it at that",
    "hides-lists": "shows customers empty lists",
    "shows-others": "shows customers everybody's orders",
    "huge-sums": "lists sums that overflow",
    "listing-without-end": "lists to the operator for ever",
    "page-without-bound": "lists everything on one page of 40 MiB",
    "refuses-all": "accepts the preparation and refuses the load",
    "forges": "says paid, and writes the network's journal itself",
    "tears": "cuts the network's journal",
    "notifies": "notifies customers, honestly",
    "notifies-nobody": "is asked for notifications and sends none",
    "notifies-early": "notifies customers of what it hopes for",
    "notifies-otherwise": "notifies customers of the other state",
    "notifies-twice": "notifies customers twice (legal)",
    "stocks": "tells what its inventory holds, honestly",
    "stocks-nothing": "reserves nothing",
    "stocks-otherwise": "releases what is paid and sells what is declined",
    "stocks-more": "says of an article that more was sold than orders say",
}
SECRET = os.environ.get("SHOP_OPERATOR", "")
MERCHANT = os.environ.get("SHOP_MERCHANT", "")
CALLBACK = os.environ.get("SHOP_CALLBACK", "")


def now_us():
    return time.time_ns() // 1000


class Shop:
    def __init__(self, provider, journal, wrong):
        self.provider, self.journal, self.wrong = provider, journal, wrong
        self.lock = threading.Lock()
        self.orders, self.owners, self.tokens, self.seen = {}, {}, {}, {}
        self.count = 0
        self.local = threading.local()

    def charge(self, key, cents, path="/charges"):
        """What the network says: (status, charge id)."""
        if not hasattr(self.local, "network"):
            self.local.network = http.client.HTTPConnection(urlsplit(self.provider).netloc, timeout=5)
        body = json.dumps({"key": key, "amount_cents": cents, "card": "card"})
        head = {"content-type": "application/json", "authorization": f"Bearer {MERCHANT}"}
        self.local.network.request("POST", path, body, head)
        answer = self.local.network.getresponse()
        told = json.loads(answer.read() or b"{}")
        return told.get("status"), told.get("charge_id")

    def chosen(self):
        """Every third order of the load."""
        with self.lock:
            self.count += 1
            return self.count % 3 == 0

    def place(self, customer, key, items, callback):
        """(status, answer, headers)."""
        with self.lock:
            if key in self.seen:
                return 201, self.orders[self.seen[key]], {}
        cents = sum(item["quantity"] * item["price_cents"] for item in items)
        order = {
            "id": str(uuid.UUID(int=(time.time_ns() // 1000000 << 80) | 0x7 << 76 | uuid.uuid4().int >> 52)),
            "key": key, "status": "pending", "total_cents": cents, "items": items,
            "created_at": now_us(), "settled_at": None, "charge_id": None,
        }
        # The preparation is served honestly: it is not what is looked at.
        wrong = "" if "-p" in key else self.wrong
        self.keep(customer, order)
        if wrong == "notifies-early":
            self.notify(callback, order, "paid")
        answer = self.settle(customer, order, wrong) if wrong else (201, self.pay(order, cents), {})
        other = {"paid": "declined", "declined": "paid"}[order["status"]] if callback else ""
        status = other if wrong == "notifies-otherwise" else order["status"]
        for _ in range({"notifies-nobody": 0, "notifies-early": 0, "notifies-twice": 2}.get(wrong, 1)):
            self.notify(callback, order, status)
        return answer

    def notify(self, callback, order, status):
        """Posts to the customer, signed, if he asked for it."""
        if not callback:
            return
        names = ("id", "key", "total_cents", "charge_id", "settled_at")
        body = json.dumps({"status": status, **{name: order[name] for name in names}})
        at_s = int(time.time())
        mac = hmac.new(CALLBACK.encode(), f"{at_s}.{body}".encode(), hashlib.sha256).hexdigest()
        url = urlsplit(callback)
        head = {"content-type": "application/json", "triptych-signature": f"t={at_s},v1={mac}"}
        connection = http.client.HTTPConnection(url.netloc, timeout=5)
        connection.request("POST", url.path, body, head)
        connection.getresponse().read()
        connection.close()

    def keep(self, customer, order):
        with self.lock:
            self.orders[order["id"]], self.owners[order["id"]] = order, customer
            self.seen[order["key"]] = order["id"]

    def drop(self, order):
        with self.lock:
            del self.orders[order["id"]], self.owners[order["id"]], self.seen[order["key"]]

    def pay(self, order, cents):
        status, charge_id = self.charge(order["key"], cents)
        order["charge_id"], order["settled_at"] = charge_id, now_us()
        order["status"] = {"captured": "paid"}.get(status, "declined")
        return order

    def say(self, order, status):
        """Final without the network."""
        order["status"], order["settled_at"] = status, now_us()
        return order

    def settle(self, customer, order, wrong):
        cents, key = order["total_cents"], order["key"]
        if wrong == "refuses-all":
            self.drop(order)
            return 503, {"detail": "not today"}, {"x-effect": "none"}
        if wrong in ("charges-nobody", "forges"):
            order["charge_id"] = f"ch-{uuid.uuid4().hex[:16]}"
            if wrong == "forges":
                self.forge(order)
            return 201, self.say(order, "paid"), {}
        if wrong == "declines-alone":
            return 201, self.say(order, "declined"), {}
        if wrong == "voids-alone":
            self.charge(key, cents, "/voids")
            return 201, self.say(order, "declined"), {}
        if wrong == "never-settles":
            return 202, order, {}
        if wrong == "charges-a-cent-more":
            return 201, self.pay(order, cents + 1), {}
        if wrong in ("tells-early", "settles-early"):
            early = dict(self.say(order, "paid")) if wrong == "tells-early" else dict(order)
            threading.Thread(target=self.pay_late, args=(order, cents)).start()
            return (201 if wrong == "tells-early" else 202), early, {}
        self.pay(order, cents)
        return self.tell(customer, order, wrong, self.chosen())

    def pay_late(self, order, cents):
        settled_at = order["created_at"] if self.wrong == "settles-early" else None
        self.pay(order, cents)
        order["settled_at"] = settled_at or order["settled_at"]

    def tell(self, customer, order, wrong, chosen):
        key, told = order["key"], dict(order)
        if wrong == "charges-early":
            prefix, n = key.rsplit("-", 1)
            self.charge(f"{prefix}-{int(n) + 5:08}", 100)
        elif wrong == "charges-strangers" and chosen:
            self.charge(f"stranger-{key}", 100)
        elif wrong == "charges-twice" and chosen:
            self.charge(key, order["total_cents"])
        elif wrong == "loses" and chosen:
            self.drop(order)
        elif wrong == "doubles" and chosen:
            self.keep(customer, dict(order, id=str(uuid.uuid4())))
        elif wrong == "invents-reference" and order["charge_id"]:
            order["charge_id"] = f"ch-{uuid.uuid4().hex[:16]}"
        elif wrong == "forgets-time":
            order["settled_at"] = None
        elif wrong == "creates-late":
            order["created_at"] += 10_000_000
        elif wrong == "answers-another" and chosen:
            with self.lock:
                told = next((o for o in self.orders.values() if o["key"] != key), told)
        elif wrong == "tells-another-id" and chosen:
            told["id"] = str(uuid.uuid4())
        elif wrong == "adds-a-cent":
            told["total_cents"] += 1
        elif wrong == "huge-sums":
            order["total_cents"] = 2**63 - 1
        elif wrong == "fails-but-does" and chosen:
            return 503, {"detail": "nothing was done"}, {"x-effect": "none"}
        elif wrong == "errs-but-does" and chosen:
            return 503, {"detail": "who knows"}, {}
        elif wrong == "tears" and chosen:
            self.tear()
        return 201, told, {}

    def forge(self, order):
        with open(self.journal, "a") as journal, self.lock:
            self.count += 1
            journal.write(json.dumps({
                "n": self.count, "at_us": now_us(), "event": "captured", "key": order["key"],
                "amount_cents": order["total_cents"], "charge_id": order["charge_id"], "seal": "0" * 32,
            }) + "\n")

    def tear(self):
        with self.lock, open(self.journal, "r+b") as journal:
            text = journal.read()
            journal.truncate(len(text) - len(text.splitlines(True)[-1]) if text else 0)

    def look(self, customer, identity):
        order = self.orders.get(identity)
        wrong = "" if order is None or "-p" in order["key"] else self.wrong
        if order is None or customer not in (None, self.owners.get(identity)) or wrong == "denies":
            return 404, {"detail": "no such order"}
        if wrong == "refuses-owner":
            return 403, {"detail": "not yours"}
        if wrong == "changes-ids":
            return 200, dict(order, id=str(uuid.uuid4()))
        if wrong == "flips" and order["status"] == "paid" and self.chosen():
            return 200, dict(order, status="pending", settled_at=None)
        return 200, order

    def stock(self, what, after, limit):
        """What an inventory would list: here it follows from the orders."""
        with self.lock:
            orders = sorted(self.orders.values(), key=lambda order: order["id"])
        states = {"paid": "sold", "declined": "released", "pending": "held"}
        if self.wrong == "stocks-otherwise":
            states |= {"paid": "released", "declined": "sold"}
        rows, shelves = [], {}
        for n, order in enumerate(orders, 1):
            quantities, state = {}, states[order["status"]]
            for item in order["items"]:
                quantities[item["sku"]] = quantities.get(item["sku"], 0) + item["quantity"]
            for sku, quantity in quantities.items():
                shelf = shelves.setdefault(sku, {"sku": sku, "held": 0, "sold": 0, "released": 0})
                shelf[state] += quantity
            rows.append({"id": n, "key": order["key"], "state": state, "quantities": quantities})
        if self.wrong == "stocks-nothing":
            rows, shelves = [], {}
        if self.wrong == "stocks-more" and shelves:
            next(iter(shelves.values()))["sold"] += 1
        if what == "reservations":
            return 200, {what: [row for row in rows if row["id"] > int(after or 0)][:limit]}
        ordered = [shelves[sku] for sku in sorted(shelves) if sku > (after or "")]
        return 200, {what: ordered[:limit]}

    def listed(self, customer, after, limit):
        with self.lock:
            mine = [o for i, o in sorted(self.orders.items())
                    if customer is None or self.owners[i] == customer or self.wrong == "shows-others"]
        if customer is not None and self.wrong == "hides-lists":
            mine = []
        if customer is None and len(mine) > 4 and self.wrong == "listing-without-end":
            return 200, {"orders": mine[-1:] * limit, "next": str(uuid.uuid4())}
        if customer is None and len(mine) > 4 and self.wrong == "page-without-bound":
            return 200, {"orders": mine, "next": None, "more": "x" * (40 << 20)}
        page = [o for o in mine if after is None or o["id"] > after][:limit + 1]
        following = page[limit - 1]["id"] if len(page) > limit else None
        return 200, {"orders": page[:limit], "next": following}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    shop = None

    def answer(self, status, told, headers=None):
        body = json.dumps(told).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")

    def customer(self):
        """Who asks; None for the operator."""
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        if token == SECRET:
            return None
        return self.shop.tokens[token]

    def do_POST(self):
        told, shop = self.body(), self.shop
        if self.path == "/signup":
            return self.answer(201, {"user_id": told["email"]})
        if self.path == "/login":
            token = uuid.uuid4().hex
            shop.tokens[token] = told["email"]
            return self.answer(200, {"token": token, "expires_at": now_us() + 3_600_000_000})
        key = self.headers["idempotency-key"]
        return self.answer(*shop.place(self.customer(), key, told["items"], told.get("callback_url")))

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path in ("/readyz", "/healthz"):
            return self.answer(200, {"status": "ready"})
        query = parse_qs(url.query)
        limit = min(int(query.get("limit", ["100"])[0]), 1000)
        if url.path.startswith("/stock/"):
            what = url.path.removeprefix("/stock/")
            return self.answer(*self.shop.stock(what, query.get("after", [None])[0], limit))
        if url.path == "/orders":
            return self.answer(*self.shop.listed(self.customer(), query.get("after", [None])[0], limit))
        return self.answer(*self.shop.look(self.customer(), url.path.rsplit("/", 1)[1]))

    def log_message(self, *_):
        pass


def main():
    options = argparse.ArgumentParser()
    for name in ("--port", "--provider", "--journal"):
        options.add_argument(name)
    options.add_argument("--wrong", default="", choices=["", "list", *WAYS])
    given = options.parse_args()
    if given.wrong == "list":
        print("\n".join(f"{name:20} {what}" for name, what in WAYS.items()))
        return
    Handler.shop = Shop(given.provider, given.journal, given.wrong)
    server = ThreadingHTTPServer(("127.0.0.1", int(given.port)), Handler)
    server.daemon_threads = True
    server.serve_forever()


main()
