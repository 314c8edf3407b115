#pragma once  // upstream includes it, and uses nothing of it
