"""Makes bundles, signed with keys that are known to all, as they should be and as they should not. Its signing is its own, beside
`tools.bundle`, and runs on MicroPython too: by the Chinese remainder theorem, for otherwise that takes seconds there.
"""

import hashlib
import struct

# The primes of two keys of 3,072 bits.
PRIMES = (
    (
        (
            "D09E9D19CF3B5D5D37C7D6E50FC5970910E344E5B8CAE0A815E89CD8D1CD6086EC6BE7082917557F3263807372DF6B2B"
            "6A762CA4823486855BE9B15FC935E8978E8D53683266C25CFE78B2A5E774CBE8C0B2AC805D6A492358E103C29B0B0916"
            "4B3EC88F814327EC40BAEC4E52528765952BAF7B2E58F90BBFBFD37B75426D65939EF11E7D86B332AA874E58997EF08A"
            "6B0EEC81B2AA47553D4ADB9AC8B876B203F3B4B817062AA56ED8ACE592B963C07791A3A6171F237B60365DFDB3D92FB1"
        ),
        (
            "CBB225A5F80AA3877F32BA3281601F0F075297941C11285240017C5C17808479E72D5848A21138845EAAFA99BE32E143"
            "E18DD3E9F7CA3BB4C04762AC60E712F48D0B6E00A68427F994E2055AF7F638D7178E8F774E0F2F5B51D52CA5CB86CC0B"
            "9165182FB1A5B3C53D969ED1257E4A7A38A69784EB293E55C6BDA96C8FE9CF2304FD82FDF782B4BF8B29E2BE2DA5D4D4"
            "0E9524134B511D6B9F818DFAAD4D7B404222085E37CC4D7452C14AA166B42417E6FD3EA5C76F233FA931A834345D1E23"
        ),
    ),
    (
        (
            "E1A42D93416C3841BD5CE533E1F9826BC355F25ED55FABB4B95CB1A93DCF8ACD1A32F740520D87DB3497AF00552E6AD2"
            "D15F1952A29A5525B65129A353F2F725534407D067886C4B2E0B93224BD132597A91FB115B47E6F025A0D591509BE0DD"
            "7931F69EF054B5701C9F7A17EBB0A1ED8613A61C8C6B2760ABFE8B41672561932FAAA077D6BE22F346955503BF21CD84"
            "CA27088567EAA1E2A61F0ADDEC77DCC979BF96771FC60F66BCD83479742B6F777FEA4C1CD622F4E7B90753F49720D19F"
        ),
        (
            "D2DA45EA2447890F16BA847499939A63F001FBF4372E5C5AC46508168BE2DE8A33D3247C2ED042CD48119E9A27929E7E"
            "F8054F5F718E725B41005640BCED57AD6FAEAFE4385D8878ABEAB4CFACECF674DF3DCEBBC4613AE12946F4C38C8751F3"
            "4CB132B2024270F5E575E91294E85F664569D88439C68F5AFFD68F846AD6A07C4F33FE25763CB60B00115916D5EBEF10"
            "9C6009719521C9A4ECAF6E6BD910136712FCAA578CF044C9DE87920A49FB71A8A123DF29BD55ED2DB45752BBB865F9FF"
        ),
    ),
)
SIZE = 384


def _inverse(number, modulus):
    """The number by which `number` is 1, of the modulus."""
    a, b, x, y = modulus, number, 0, 1
    while b:
        a, b, x, y = b, a % b, y, x - a // b * y
    return x % modulus


class Signer:
    """One of the keys; `key` is its public half, as a device has it."""

    def __init__(self, which=0):
        self._p, self._q = [int(prime, 16) for prime in PRIMES[which]]
        self.modulus = self._p * self._q
        self.key = self.modulus.to_bytes(SIZE, "big")

    def power(self, padded):
        """The private key's power of a number below the modulus."""
        p, q = self._p, self._q
        by_p = pow(padded % p, _inverse(65537, p - 1), p)
        by_q = pow(padded % q, _inverse(65537, q - 1), q)
        return by_q + (by_p - by_q) * _inverse(q, p) % p * q

    def sign(self, message):
        digest = bytes([0x30, 0x31, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 32])
        digest += hashlib.sha256(message).digest()
        padded = b"\0\1" + b"\xff" * (SIZE - 3 - len(digest)) + b"\0" + digest
        return self.power(int.from_bytes(padded, "big")).to_bytes(SIZE, "big")


class Bundle:
    """What an update is made of; each part can be made wrong before `data`."""

    def __init__(self, files, version=(0, 2, 0), signer=None):
        """files: pairs of place and content, in order."""
        self.pairs = files
        self.signer = signer or Signer()
        self.magic = b"rU"
        self.format = 1
        self.kind = 0
        self.version = version
        self.over = (0, 0, 0)
        self.bytecode = 6
        self.state = 1
        self.count = len(files)
        self.board = b"bench"
        self.key = hashlib.sha256(self.signer.key).digest()[:8]
        self.listing = b"".join([self.entry(place, content) for place, content in files])
        self.list_size = len(self.listing)

    def entry(self, place, content):
        place = place if isinstance(place, bytes) else place.encode()
        return struct.pack("<I", len(content)) + hashlib.sha256(content).digest() + bytes([len(place)]) + place

    def manifest(self):
        head = struct.pack("<2sBB", self.magic, self.format, self.kind) + struct.pack("<3H3H", *(self.version + self.over))
        head += struct.pack("<BBHI8s24s", self.bytecode, self.state, self.count, self.list_size, self.key, self.board)
        return head + self.listing

    def data(self):
        manifest = self.manifest()
        return manifest + self.signer.sign(manifest) + b"".join([content for _, content in self.pairs])


class Source:
    """Bytes that come in portions of at most so many."""

    def __init__(self, data, most=100000):
        self.data = data
        self.at = 0
        self.given = 0
        self._most = most

    def read(self, size):
        found = self.data[self.at : self.at + min(size, self._most)]
        self.at += len(found)
        self.given += len(found)
        return found

    def skip(self, size):
        self.at += size

    def close(self):
        pass
