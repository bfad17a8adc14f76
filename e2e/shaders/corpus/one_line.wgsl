// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
var s=0u;for(var i=0u;i<id.x%9u;i++){s+=i;}var j=0u;loop{if(j>=3u){break;}j++;s+=j;}r[id.x]=s;
}
