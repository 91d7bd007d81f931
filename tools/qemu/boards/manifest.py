freeze("APPLIANCE", "_boot.py")
include("$(MPY_DIR)/extmod/asyncio")
