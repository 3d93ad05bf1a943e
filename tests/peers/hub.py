"""What Python's huggingface_hub makes of a server, a cache or a card; prints JSON.

    hub.py download REPO [REVISION]     fetches a snapshot, or finds it offline
    hub.py upload DIR REPO              creates a repository and uploads a directory in one commit
    hub.py xet REPO FILE...             the Xet hash of each file, null where it has none
    hub.py card FILE                    reads a model card, strictly
    hub.py validate REPO                has the server of HF_ENDPOINT validate a repository's card
"""

import json
import pathlib
import sys

from huggingface_hub import HfApi, ModelCard, get_hf_file_metadata, hf_hub_url, scan_cache_dir, snapshot_download

command, argument, *rest = sys.argv[1:]
if command == "download":
    root = pathlib.Path(snapshot_download(argument, revision=rest[0] if rest else None))
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    answer = {"dir": str(root), "files": files, "warnings": [str(w) for w in scan_cache_dir().warnings]}
elif command == "upload":
    api = HfApi()
    api.create_repo(rest[0], exist_ok=True)
    answer = {"commit": api.upload_folder(repo_id=rest[0], folder_path=argument).oid}
elif command == "xet":
    found = {name: get_hf_file_metadata(hf_hub_url(argument, name)).xet_file_data for name in rest}
    answer = {name: data and data.file_hash for name, data in found.items()}
elif command == "card":
    data = ModelCard.load(argument, ignore_metadata_errors=False).data
    answer = {
        "license": data.license,
        "pipeline_tag": data.pipeline_tag,
        "library_name": data.library_name,
        "datasets": data.datasets,
        "metrics": {result.metric_type: result.metric_value for result in data.eval_results or []},
    }
elif command == "validate":
    card = ModelCard.load(argument, ignore_metadata_errors=False)
    card.validate()
    answer = {"license": card.data.license}
else:
    sys.exit(__doc__)
print(json.dumps(answer))
